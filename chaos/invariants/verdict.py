"""Passed, failed or unknown, and how several verdicts become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`UNKNOWN` is never a pass: the fault did not provably hit, or a check raised an error."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


_GRAVITY = (Verdict.FAILED, Verdict.UNKNOWN, Verdict.PASSED)


@dataclass(frozen=True)
class Finding:
    """What one check found. No problems: it holds."""

    check: str
    verdict: Verdict
    problems: Sequence[str] = ()


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them: a failure is certain whatever else is unknown. Of none: unknown."""
    found = set(verdicts)
    return next((verdict for verdict in _GRAVITY if verdict in found), Verdict.UNKNOWN)
