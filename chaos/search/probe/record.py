"""The result of a probe as it is saved: `probe.json`, from which all reports are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chaos.evidence.files import read_file, write_file
from chaos.search.crash.points import Action
from chaos.wire.boundary import Boundary, Stage

PROBE = "probe.json"


class _Saved(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class TimelineEntry(_Saved):
    """A line of a timeline: `seconds` after the disturbance, what kind of thing (`mark`), and what
    happened.
    """

    seconds: float
    mark: str
    text: str


class Cell(_Saved):
    """One boundary, one action, and the workflow's fate. `findings` has the worst first. `also` are
    other boundaries at which the same call was: a fault of the worker cannot distinguish them.
    Calls of a `service` are counted by themselves, and `is_own` is False of what a child workflow
    does.

    `recovered_seconds` is from the disturbance until a worker got work of the workflow again,
    `bound_seconds` the most that its own timeouts allow; None if no work was left.
    """

    boundary: Boundary
    action: str
    also: tuple[Boundary, ...] = ()
    service: str = ""
    is_own: bool = True
    workflow_id: str
    folder: str
    findings: tuple[Finding, ...]
    tries: int = 1  # attempts, by the name that probe.json has
    seconds: float = 0.0
    recovered_seconds: float | None = None
    bound_seconds: float | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    command: str = ""

    @property
    def fate(self) -> Fate:
        """The worst."""
        return self.findings[0].fate


class Undisturbed(_Saved):
    """An undisturbed run; `why` it failed, if it did."""

    workflow_id: str
    folder: str
    status: str
    seconds: float
    why: str = ""


class Probe(_Saved):
    """All of it. `found` is how many points there are, of which `chosen` were to be tried; `ended`
    says why it ended before all of them were, if it did. `masked` are the places at which
    undisturbed results differ.
    """

    workflow: str
    command: str
    began_at: AwareDatetime
    seconds: float
    found: int
    chosen: int
    undisturbed: tuple[Undisturbed, ...]
    masked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ended: str = ""
    cells: tuple[Cell, ...] = ()

    @property
    def fates(self) -> Counter[Fate]:
        """How many cells have each fate."""
        return Counter(cell.fate for cell in self.cells)

    @property
    def worst_first(self) -> Sequence[Cell]:
        """Its cells, the worst first; equal ones in the order of a worker's life."""
        return sorted(self.cells, key=lambda cell: (cell.fate.gravity, *_place(cell)))

    @property
    def hit(self) -> int:
        """How many points were provably hit."""
        return sum(all(f.fate is not Fate.UNKNOWN for f in cell.findings) for cell in self.cells)

    @property
    def is_fine(self) -> bool:
        """Whether something was proven, and nothing bad."""
        return self.hit > 0 and not any(finding.fate.is_bad for finding in self.all_findings)

    @property
    def remarks(self) -> Sequence[str]:
        """What it could not compare, and its notes: each limits what a pass means."""
        compared = []
        if len({run.status for run in self.undisturbed}) > 1:
            compared = ["The undisturbed runs ended differently, so no end counts as a finding."]
        elif self.masked:
            places = ", ".join(self.masked)
            compared = [f"Not compared, because the undisturbed results differ: {places}."]
        reasons = dict.fromkeys(run.why for run in self.undisturbed if run.why)
        fails = [f"It fails undisturbed; is its input right? {why}" for why in reasons]
        return [*compared, *fails, *self.notes]

    @property
    def all_findings(self) -> Sequence[Finding]:
        """Of all cells."""
        return [finding for cell in self.cells for finding in cell.findings]


def _place(cell: Cell) -> tuple[str, int, int, bool]:
    boundary = cell.boundary
    stage = tuple(Stage).index(boundary.stage)
    subject = f"{boundary.kind} {boundary.subject}"
    return subject, boundary.ordinal, stage, cell.action != Action.KILL


def save_probe(folder: Path, probe: Probe) -> None:
    """Write it, whole or not at all."""
    write_file(folder / PROBE, probe.model_dump_json(indent=1) + "\n")


def load_probe(folder: Path) -> Probe:
    """Read it."""
    return Probe.model_validate_json(read_file(folder / PROBE))


class Fate(StrEnum):
    """The worst one first.

    `LOST`: there is no such workflow, its result is gone, or it ended as usual without an activity
    that failed. `STUCK`: it does not continue within a bound of its own timeouts. `OTHER_RESULT`:
    neither undisturbed run returned that. `DONE_TWICE`: a service was asked for the same thing
    again and cannot know that. `UNKNOWN`: the disturbance did not provably hit, or the machine was
    too busy to judge. `SENT_AGAIN`: asked again with the same idempotency key, or by a method that
    changes nothing. `RAN_TWICE`: an activity was run again that was not seen to ask a service for
    any change; only its authors know whether that does harm.
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
        """Its severity; 0 is the worst."""
        return tuple(Fate).index(self)

    @property
    def is_bad(self) -> bool:
        """Whether it is a defect of the probed system."""
        return self.gravity < Fate.UNKNOWN.gravity


class Finding(BaseModel):
    """One finding about a disturbed run."""

    model_config = ConfigDict(frozen=True)

    fate: Fate
    text: str


def worst_first(findings: Iterable[Finding]) -> Sequence[Finding]:
    """In the order of severity."""
    return sorted(findings, key=lambda each: each.fate.gravity)
