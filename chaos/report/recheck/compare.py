"""What has changed between the recorded results and those of today."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from chaos.experiment.results import CaseResult, Result, RunResult, ScenarioResult
from chaos.experiment.run import KEY_CHECK
from chaos.invariants.verdict import Verdict
from chaos.report.recheck.damage import torn_books
from chaos.report.recheck.judging import DOUBT, UNREADABLE, Folders

_FIGURES = ("cost_usd", "ideal_cost_usd", "waste_usd", "billed")
"""What the bills say of a case, as far as the version that made the run recorded it."""


class Difference(Result):
    """What is not as it was recorded, of a scenario, or of a case, or of a check in it.

    `what` is the verdict or a figure. None: there is, or was, no such thing.
    """

    scenario: str
    case: str | None = None
    check: str | None = None
    what: str = "verdict"
    recorded: str | None
    now: str | None
    problems: tuple[str, ...] = ()


class Recheck(Result):
    """The whole of `recheck.json`: the run's results of today, and what has changed.

    `passed` says whether all passes now, `recorded_passed` whether all had. `notes` and
    `not_repeated` are sentences that change no verdict.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    passed: bool
    recorded_passed: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    not_repeated: tuple[str, ...]
    result: RunResult

    @property
    def exit_code(self) -> int:
        """0 where all passed, then and now, and nothing differs; else 1."""
        return 0 if self.passed and self.recorded_passed and not self.differences else 1


def differences(recorded: RunResult, now: Sequence[ScenarioResult]) -> Iterator[Difference]:
    """All that differs, scenario by scenario."""
    known = {scenario.name: scenario for scenario in recorded.scenarios}
    for scenario in now:
        before = known.get(scenario.name)
        was = before.verdict if before else None
        if was is not scenario.verdict:
            yield Difference(scenario=scenario.name, recorded=was, now=scenario.verdict)
        cases = {case.name: case for case in before.cases} if before else {}
        for case in scenario.cases:
            for each in _of_case(cases.get(case.name), case):
                yield each.model_copy(update={"scenario": scenario.name, "case": case.name})


def _of_case(recorded: CaseResult | None, now: CaseResult) -> Iterator[Difference]:
    was = recorded.verdict if recorded else None
    if was is not now.verdict:
        yield Difference(scenario="", recorded=was, now=now.verdict)
    before = {check.check: check.verdict for check in recorded.checks} if recorded else {}
    today = {check.check: check for check in now.checks}
    for name in dict.fromkeys([*before, *today]):
        then, check = before.get(name), today.get(name)
        found = check.verdict if check else None
        # A check that is new, or is no more, is a difference only where it does not hold.
        if then is not found and {then, found} != {None, Verdict.PASSED}:
            problems = check.problems if check else ()
            yield Difference(scenario="", check=name, recorded=then, now=found, problems=problems)
    if recorded and UNREADABLE not in today:
        yield from _of_figures(recorded, now)


def _of_figures(recorded: CaseResult, now: CaseResult) -> Iterator[Difference]:
    for figure in _FIGURES:
        then, found = getattr(recorded, figure), getattr(now, figure)
        if figure in recorded.model_fields_set and then != found:
            yield Difference(scenario="", what=figure, recorded=str(then), now=str(found))


def notes(recorded: RunResult, now: Sequence[ScenarioResult], folders: Folders) -> Iterator[str]:
    """What a reader should know, and what changes no verdict."""
    known = {(s.name, case.name): case for s in recorded.scenarios for case in s.cases}
    for scenario in now:
        for case in scenario.cases:
            place = scenario.name, case.name
            for file in torn_books(folders[place]) if place in folders else ():
                yield f"{'/'.join(place)}: {file.name} ends in the middle of a line"
            if place in known:
                yield from (f"{'/'.join(place)}: {n}" for n in _check_notes(known[place], case))


def _check_notes(recorded: CaseResult, now: CaseResult) -> Iterator[str]:
    """Which checks were made then or now alone, where the case was judged in full."""
    before = {check.check: check.verdict for check in recorded.checks}
    today = {check.check: check.verdict for check in now.checks}
    if {DOUBT, UNREADABLE} & today.keys():
        return
    if gone := [name for name in before if name not in today]:
        yield f"no longer checked: {', '.join(gone)}"
    if new := [name for name in today if name not in before]:
        yield f"checked now, and not in the run: {', '.join(new)}"


def not_repeated(now: Sequence[ScenarioResult]) -> Iterator[str]:
    """Which checks could not be made again, and what they had found."""
    for scenario in now:
        for case in scenario.cases:
            for check in case.checks:
                if check.check == KEY_CHECK:
                    yield f"{scenario.name}/{case.name}: {KEY_CHECK}: {'; '.join(check.problems)}"
