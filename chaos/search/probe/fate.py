"""What became of a workflow that was disturbed once: a word, and a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Fate(StrEnum):
    """The worst one first.

    `LOST`: there is no such workflow, its result is gone, or it ended as usual without an activity
    that came to nothing. `STUCK`: it does not go on within a bound of its own timeouts.
    `OTHER_RESULT`: neither undisturbed run returned that. `DONE_TWICE`: a service was asked for the
    same thing again and cannot tell. `UNKNOWN`: the disturbance did not provably hit, or the
    machine was too busy to judge. `SENT_AGAIN`: asked again with the same idempotency key, or by a
    method that changes nothing. `RAN_TWICE`: an activity was run again that was not seen to ask a
    service for any change; whether that does harm only its authors know.
    """

    LOST = "lost"
    NOT_DETERMINISTIC = "not deterministic"
    FAILED = "failed"
    STUCK = "stuck"
    OTHER_RESULT = "other result"
    DONE_TWICE = "done twice"
    UNKNOWN = "unknown"
    SENT_AGAIN = "sent again"
    RAN_TWICE = "ran twice"
    SURVIVED = "survived"

    @property
    def gravity(self) -> int:
        """0 is the worst."""
        return tuple(Fate).index(self)

    @property
    def is_bad(self) -> bool:
        """Whether it is a fault of what was probed."""
        return self.gravity < Fate.UNKNOWN.gravity


class Finding(BaseModel):
    """One thing that was found out about a disturbed run."""

    model_config = ConfigDict(frozen=True)

    fate: Fate
    text: str


def worst_first(findings: Iterable[Finding]) -> Sequence[Finding]:
    """In the order of their gravity."""
    return sorted(findings, key=lambda each: each.fate.gravity)
