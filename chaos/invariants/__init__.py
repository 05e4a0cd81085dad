"""Pure functions from evidence to problems. None of them looks at a live process."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chaos.evidence.case import Evidence
from chaos.invariants.verdict import Finding, Verdict

E = TypeVar("E", bound=Evidence)

Judge = Callable[[E], Iterable[str]]
"""It gets the target's own kind of evidence."""


class Late(str):
    """A problem of nothing but time. A machine that was too busy makes it as well."""

    __slots__ = ()


class Lost(str):
    """A problem of an attempt that was lost without any fault: nobody can say by whom."""

    __slots__ = ()


class Unmeasured(str):
    """A problem that is none of the system's: what was to be judged is not in the evidence."""

    __slots__ = ()


@dataclass(frozen=True)
class Invariant:
    """A named judge: it yields one sentence for each problem, and nothing where all is well.

    `broken` is the verdict where there are problems: `FAILED` for what must hold, `UNKNOWN`
    for the proof that a fault has hit. Where all are `Late`, and the machine was busy, `Lost` or
    `Unmeasured`, it is `UNKNOWN` as well. What holds `at_any_moment`, not only at the end, is asked
    of an experiment that broke off as well.
    """

    name: str
    judge: Callable[[Any], Iterable[str]]
    broken: Verdict = Verdict.FAILED
    at_any_moment: bool = False

    def examine(self, evidence: Evidence) -> Finding:
        """Judge; a judge that breaks leaves its question open."""
        try:
            problems = tuple(self.judge(evidence))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's own outcomes are no Exceptions
            place = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"the check broke: {error!r} at {place.name}:{place.lineno}"
            return Finding(self.name, Verdict.UNKNOWN, (problem,))
        if not problems:
            return Finding(self.name, Verdict.PASSED)
        doubts = _doubts(problems, evidence)
        return Finding(self.name, Verdict.UNKNOWN if doubts else self.broken, problems + doubts)


def _doubts(problems: Sequence[str], evidence: Evidence) -> tuple[str, ...]:
    """Why problems, all of which another could have made, tell nothing; empty where they do."""
    strain = evidence.strain
    busy = strain is not None and strain.is_busy
    excused = (Lost, Unmeasured, Late) if busy else (Lost, Unmeasured)
    if not all(isinstance(problem, excused) for problem in problems):
        return ()
    if all(isinstance(problem, Unmeasured) for problem in problems):
        return ("unknown, for it was not measured",)
    if busy:
        return (f"unknown, for the machine was too busy: {strain}",)
    return ("unknown, for no fault explains it: no worker came to tell of that attempt",)


def invariant(judge: Judge[E]) -> Invariant:
    """Make an invariant of a judge, under the judge's name."""
    return Invariant(judge.__name__, judge)


def safety(judge: Judge[E]) -> Invariant:
    """Make an invariant of what holds at any moment."""
    return Invariant(judge.__name__, judge, at_any_moment=True)


def proof(name: str) -> Callable[[Judge[E]], Invariant]:
    """Make a proof of a judge: where it has problems, the fault did not provably hit."""
    return lambda judge: Invariant(name, judge, broken=Verdict.UNKNOWN)
