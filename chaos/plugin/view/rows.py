"""From the state of all cases to the rows of the table: one for each scenario."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from chaos.experiment.events import Stage
from chaos.invariants.verdict import Verdict, merge
from chaos.plugin.view.state import ActiveFault, CaseState, State


@dataclass(frozen=True)
class Row:
    """What is shown of a scenario. `now` is of the case that tells most, and so is `fault`.

    `cases` says how many of several have ended, `is_open` whether any has not; a `verdict` may be
    known before. `began_seconds` is None while all wait. The figures are without those of controls.
    """

    name: str
    cases: str
    now: str
    is_open: bool
    verdict: Verdict | None
    fault: ActiveFault | None
    more_faults: int
    ended: int
    workflows: int
    billed_usd: Decimal
    ideal_usd: Decimal
    began_seconds: float | None
    ended_seconds: float | None

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of it has begun."""
        return self.is_open and self.began_seconds is None

    @property
    def is_passed(self) -> bool:
        """Whether it has ended well."""
        return not self.is_open and self.verdict is Verdict.PASSED

    @property
    def interest(self) -> tuple[bool, bool, bool]:
        """The greater, the sooner it should be seen."""
        return (self.verdict not in {None, Verdict.PASSED}, bool(self.fault), not self.is_waiting)


def rows_of(state: State) -> Sequence[Row]:
    """A row for each scenario, in the order of the plan; of one alone, for each of its cases."""
    scenarios: dict[str, list[CaseState]] = {}
    for name, case in state.cases.items():
        scenarios.setdefault(name.scenario, []).append(case)
    if len(scenarios) == 1 < len(state.cases):
        return [_row(name.case, [case]) for name, case in state.cases.items()]
    return [_row(name, cases) for name, cases in scenarios.items()]


def total_of(rows: Iterable[Row]) -> tuple[int, int, Decimal, Decimal]:
    """Workflows that have ended and all, what is billed and what would be without any waste."""
    rows = tuple(rows)
    return (
        sum(row.ended for row in rows),
        sum(row.workflows for row in rows),
        sum((row.billed_usd for row in rows), Decimal(0)),
        sum((row.ideal_usd for row in rows), Decimal(0)),
    )


def _row(name: str, cases: Sequence[CaseState]) -> Row:
    told = max(cases, key=_interest)
    is_open = any(case.verdict is None for case in cases)
    began = [case.began_seconds for case in cases if case.began_seconds is not None]
    ended = [case.ended_seconds for case in cases if case.ended_seconds is not None]
    counted = [case for case in cases if not case.planned.control]
    verdict = _verdict(cases, is_open=is_open)
    judged = sum(case.verdict is not None for case in cases)
    return Row(
        name=name,
        cases=f"{judged}/{len(cases)}" if len(cases) > 1 else "",
        now=_now(cases, told) if is_open else _outcome(cases, verdict),
        is_open=is_open,
        verdict=verdict,
        fault=told.faults[-1] if told.faults else None,
        more_faults=max(0, sum(len(case.faults) for case in cases) - 1),
        ended=sum(len(case.ended) for case in counted),
        workflows=sum(case.workflows for case in counted),
        billed_usd=sum((case.billed_usd for case in counted), Decimal(0)),
        ideal_usd=sum((case.planned.ideal_usd for case in counted), Decimal(0)),
        began_seconds=min(began, default=None),
        ended_seconds=None if is_open else max(ended, default=None),
    )


_INTEREST = (
    Stage.WAITING,
    Stage.STARTING,
    Stage.JUDGING,
    Stage.SAVING,
    Stage.CONVERGING,
    Stage.RUNNING,
)


def _interest(case: CaseState) -> tuple[bool, bool, int]:
    """Of several cases the one with the greatest is told of: one that has not ended, is struck."""
    return (case.verdict is None, bool(case.faults), _INTEREST.index(case.stage))


def _now(cases: Sequence[CaseState], told: CaseState) -> str:
    """The newest note, or the stage; of several cases also which one it is."""
    text = told.note if told.stage is Stage.RUNNING and told.note else str(told.stage)
    if len(cases) == 1 or told.stage is Stage.WAITING:
        return text
    return f"{told.planned.name.case}: {text}"


def _outcome(cases: Sequence[CaseState], verdict: Verdict | None) -> str:
    if verdict is Verdict.PASSED:
        return str(verdict)
    reason = next(case.reason for case in cases if case.verdict is verdict)
    return f"{verdict}: {reason}"


def _verdict(cases: Sequence[CaseState], *, is_open: bool) -> Verdict | None:
    """The gravest so far; while some have none, no pass."""
    verdict = merge(case.verdict for case in cases if case.verdict is not None)
    ended = [case for case in cases if case.verdict is not None]
    if not ended or (is_open and verdict is Verdict.PASSED):
        return None
    return verdict
