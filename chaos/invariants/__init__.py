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
"""A function of the target's own kind of evidence."""


class Late(str):
    """A problem of timing only: on a machine that was too busy the verdict is unknown."""

    __slots__ = ()


class Lost(str):
    """An attempt that was lost without a fault, and nothing shows where. The verdict is unknown."""

    __slots__ = ()


class Unmeasured(str):
    """The evidence lacks what was to be judged. The verdict is unknown."""

    __slots__ = ()


@dataclass(frozen=True)
class Invariant:
    """A named function from evidence to problems: a sentence for each, and nothing where all is
    well.

    Make one with the decorators `invariant`, `safety` or `proof`.

    Attributes:
        name: its name in reports.
        judge: the function. It gets the target's own kind of `Evidence`.
        broken: the verdict if there are problems: `FAILED` for an invariant, `UNKNOWN` for a proof.
            It is `UNKNOWN` as well if all problems are `Lost` or `Unmeasured`, or `Late` on a busy
            machine.
        at_any_moment: whether it is also examined if the experiment stopped early.

    """

    name: str
    judge: Callable[[Any], Iterable[str]]
    broken: Verdict = Verdict.FAILED
    at_any_moment: bool = False

    def examine(self, evidence: Evidence) -> Finding:
        """The finding. If the function raises, the verdict is unknown."""
        try:
            problems = tuple(self.judge(evidence))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's own outcomes are no Exceptions
            place = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"the check raised an error: {error!r} at {place.name}:{place.lineno}"
            return Finding(self.name, Verdict.UNKNOWN, (problem,))
        if not problems:
            return Finding(self.name, Verdict.PASSED)
        doubts = _doubts(problems, evidence)
        return Finding(self.name, Verdict.UNKNOWN if doubts else self.broken, problems + doubts)


def _doubts(problems: Sequence[str], evidence: Evidence) -> tuple[str, ...]:
    """Why problems that all may have another cause prove nothing; empty if they prove something."""
    strain = evidence.strain
    busy = strain is not None and strain.is_busy
    excused = (Lost, Unmeasured, Late) if busy else (Lost, Unmeasured)
    if not all(isinstance(problem, excused) for problem in problems):
        return ()
    if all(isinstance(problem, Unmeasured) for problem in problems):
        return ("unknown: it was not measured",)
    if busy:
        return (f"unknown: the machine was too busy: {strain}",)
    return ("unknown: no fault explains it, and no worker reported that attempt",)


def invariant(judge: Judge[E]) -> Invariant:
    """Decorator: an invariant with the function's name, examined when the experiment went as
    planned.

        @invariant
        def every_parcel_is_paid(evidence: Evidence) -> Iterator[str]:
            for bill in evidence.bills:
                if bill.item == "parcel" and not bill.amount_usd:
                    yield f"{bill.key} was shipped for nothing"
    """
    return Invariant(judge.__name__, judge)


def safety(judge: Judge[E]) -> Invariant:
    """Decorator: an invariant that must hold at any time, also if the experiment stopped early."""
    return Invariant(judge.__name__, judge, at_any_moment=True)


def proof(name: str) -> Callable[[Judge[E]], Invariant]:
    """Decorator: a proof with that name. If it has problems, the fault did not provably hit."""
    return lambda judge: Invariant(name, judge, broken=Verdict.UNKNOWN)
