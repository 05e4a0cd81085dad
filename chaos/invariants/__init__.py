"""Pure functions from evidence to problems. None of them looks at a live process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chaos.evidence import Evidence
from chaos.verdict import Finding, Verdict

Judge = Callable[[Evidence], Iterable[str]]


@dataclass(frozen=True)
class Invariant:
    """A named judge: it yields one sentence for each problem, and nothing where all is well.

    `broken` is the verdict where there are problems: `FAILED` for what must hold, `UNKNOWN`
    for the proof that a fault has hit.
    """

    name: str
    judge: Judge
    broken: Verdict = Verdict.FAILED

    def examine(self, evidence: Evidence) -> Finding:
        """Judge; a judge that breaks leaves its question open."""
        try:
            problems = tuple(self.judge(evidence))
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was shown
            place = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"the check broke: {error!r} at {place.name}:{place.lineno}"
            return Finding(self.name, Verdict.UNKNOWN, (problem,))
        return Finding(self.name, self.broken if problems else Verdict.PASSED, problems)


def invariant(judge: Judge) -> Invariant:
    """Make an invariant of a judge, under the judge's name."""
    return Invariant(judge.__name__, judge)


def proof(name: str) -> Callable[[Judge], Invariant]:
    """Make a proof of a judge: where it has problems, the fault did not provably hit."""
    return lambda judge: Invariant(name, judge, broken=Verdict.UNKNOWN)
