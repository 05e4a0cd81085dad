"""The tables of results and costs with their lines, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Decimal

from chaos.environment.roles import CLUSTER_TARGETS
from chaos.environment.temporal import Topology
from chaos.evidence.text import cell, plain
from chaos.experiment.cost import ZERO
from chaos.experiment.results import (
    CaseResult,
    CheckResult,
    NotRun,
    Overall,
    RunResult,
    ScenarioResult,
)
from chaos.invariants.antipatterns import Notice
from chaos.invariants.figures import Figure
from chaos.invariants.verdict import Verdict

Cell = Callable[[str], str]
"""Makes a cell of any text: `shown.cell` for a terminal, `markdown.escaped` for Markdown."""

_LONGEST_NAME = 100

HEAD = ("Test", "Status", "Duration", "Cost", "Pass/Fail")
RECOVERY_HEAD = ("Killed", "Recovery", "Of it, restart", "Repeated attempts")
FIGURE_HEAD = ("Test", "Measured", "Value", "At most")
COST_HEAD = ("Test", "Billed", "Ideal", "Waste", "Possible waste", "Saved by checkpoints")


def rows(
    scenarios: Sequence[ScenarioResult], not_run: Sequence[NotRun] = ()
) -> list[tuple[str, ...]]:
    """One row for each scenario, in the order of their numbers."""
    shown = [
        (
            s.number,
            (
                _row_name(s),
                s.status.capitalize(),
                f"{s.duration_s:.1f} s",
                cost(s),
                verdict_words(s),
            ),
        )
        for s in scenarios
    ]
    absent = [(n.number, (_row_name(n), "Not run", "-", "-", "NOT RUN")) for n in not_run]
    # Two rows may share a number: a run's scenario may have had that of another one today.
    return [row for _, row in sorted([*shown, *absent])]


def verdict_words(scenario: ScenarioResult) -> str:
    """The verdict, and whether it needed a second try."""
    return f"{scenario.verdict.upper()}{', 2nd try' if scenario.first_tries else ''}"


def _row_name(row: ScenarioResult | NotRun) -> str:
    """The number, which schedules from a seed have not, and the title."""
    name = f"{row.number}. {row.title}" if row.number else row.title
    return plain(name, _LONGEST_NAME)


def cost(scenario: ScenarioResult) -> str:
    """What was billed; where that is not the ideal, the ideal and the difference beside it."""
    billed, ideal, waste = scenario.cost_usd, scenario.ideal_cost_usd, scenario.waste_usd
    differences = {"waste": waste, "missing": ideal + waste - billed}
    notes = [f"{word} {exact(amount)}" for word, amount in differences.items() if amount]
    if not notes:
        return usd(billed)
    return f"{usd(billed)} ({', '.join([f'ideal {usd(ideal)}', *notes])})"


def usd(amount: Decimal) -> str:
    """Dollars and cents: half a cent is rounded up, as the reference figures are."""
    return f"${amount.quantize(Decimal('0.01'), ROUND_HALF_UP)}"


def exact(amount: Decimal) -> str:
    """Dollars to the last digit, and at least to the cent: waste is never rounded away."""
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"${cents if cents == amount else amount.normalize():f}"


def overall_line(result: RunResult) -> str:
    """How many passed, of those that ran, and how many goals no case has met."""
    never = len(result.unmet)
    goals = f", {never} goal{'' if never == 1 else 's'} never met" if never else ""
    return f"{overall_words(result.overall)}{goals}"


def overall_words(overall: Overall) -> str:
    """The same, of the numbers alone."""
    beside = f", {overall.not_run} not run" if overall.not_run else ""
    return f"OVERALL: {overall.passed}/{overall.total} tests passed{beside}"


def topology_lines(result: RunResult) -> list[str]:
    """Where it ran, unless that is where it always runs."""
    if result.topology is Topology.DEV:
        return []
    return [f"Topology: {result.topology}, Temporal Server {result.versions.get('server', '?')}"]


def not_run_lines(result: RunResult) -> list[str]:
    """Why scenarios that were chosen did not run."""
    return [f"{each.name} was not run: {each.reason}" for each in result.not_run]


def recovery_table_lines(result: RunResult, as_cell: Cell = cell) -> list[str]:
    """The recovery from each fault that hit a process of a cluster, where there was any."""
    found = [
        (
            fault.target,
            f"{fault.recovery_s.total:.2f} s" if fault.recovery_s else "not seen",
            f"{fault.recovery_s.restart:.2f} s" if fault.recovery_s else "-",
            str(fault.repeated_attempts),
        )
        for scenario in result.scenarios
        for case in scenario.cases
        for fault in case.faults
        if fault.target in CLUSTER_TARGETS
    ]
    return aligned([RECOVERY_HEAD, *found], as_cell) if found else []


def figure_rows(result: RunResult) -> list[tuple[str, ...]]:
    """What the cases measured of their own: where, what, how much, and the most that it may be."""
    return [
        (f"{s.name}/{case.name}", figure.name, *figure_words(figure))
        for s in result.scenarios
        for case in s.cases
        for figure in case.figures
    ]


def figure_words(figure: Figure) -> tuple[str, str]:
    """Its value and its bound, each with the unit."""
    unit = f" {figure.unit}" if figure.unit else ""
    bound = "-" if figure.bound is None else f"{_figure(figure.bound)}{unit}"
    beyond = "" if figure.is_within else " (too much)"
    return f"{_figure(figure.value)}{unit}{beyond}", bound


def _figure(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.2f}"


def figure_table_lines(result: RunResult, as_cell: Cell = cell) -> list[str]:
    """The table of these, where there are any."""
    found = figure_rows(result)
    return aligned([FIGURE_HEAD, *found], as_cell) if found else []


def notice_lines(result: RunResult) -> list[str]:
    """The anti-patterns of the run, each once, and where it was seen first."""
    found: dict[tuple[str, str, str], list[tuple[str, Notice]]] = {}
    for scenario in result.scenarios:
        for case in scenario.cases:
            for each in case.notices:
                key = (str(each.pattern), each.workflow_type, each.activity)
                found.setdefault(key, []).append((f"{scenario.name}/{case.name}", each))
    return [_notice(places) for _, places in sorted(found.items())]


def _notice(places: Sequence[tuple[str, Notice]]) -> str:
    (place, first), count = places[0], sum(each.count for _, each in places)
    cases = f"{len(places)} case{'s' if len(places) > 1 else ''}"
    often = f", {count} times in {cases}" if count > 1 else ""
    return f"Notice: {notice_words(first)} ({first.workflow_id} in {place}{often})"


def notice_words(notice: Notice) -> str:
    """What was seen, of which activity or workflow."""
    what = (
        f"{notice.activity} of {notice.workflow_type}"
        if notice.activity
        else (notice.workflow_type)
    )
    return f"{notice.pattern}: {what}: {notice.text}"


def table_lines(result: RunResult, as_cell: Cell = cell) -> list[str]:
    """The table with aligned columns; it is Markdown, too."""
    return aligned([HEAD, *rows(result.scenarios, result.not_run)], as_cell)


def cost_table_lines(result: RunResult, as_cell: Cell = cell) -> list[str]:
    """What each scenario cost, wasted and saved, and all together; controls are not counted."""
    if not any(totals(result)):
        return ["Nothing was billed, as expected."]
    amounts = [_amounts(scenario) for scenario in result.scenarios]
    names = [_row_name(s) for s in result.scenarios]
    named = zip((*names, "Total"), (*amounts, totals(result)), strict=True)
    return aligned([COST_HEAD, *((name, *_shown(row)) for name, row in named)], as_cell)


def totals(result: RunResult) -> tuple[Decimal, ...]:
    """Billed, ideal, waste, possible waste and saved, of all scenarios."""
    amounts = [_amounts(scenario) for scenario in result.scenarios]
    return tuple(sum(column, ZERO) for column in zip(*amounts, strict=True)) or (ZERO,) * 5


def in_doubt_lines(result: RunResult) -> list[str]:
    """Each call in doubt: its operation, its step, its cost, and why."""
    return [
        f"{s.name}/{case.name}: {call.operation_id}, {call.step}, request {call.number}, "
        f"{exact(call.cost_usd)}, {call.shown_state}: {call.reason or 'no reason is on record'}"
        for s in result.scenarios
        for case in s.cases
        if not case.control
        for call in case.ambiguous
    ]


def paid_line(paid_usd: Decimal, budget_usd: Decimal) -> str:
    """What a live run may have cost in all: interrupted scenarios have no row."""
    return f"Paid in this run: at most {exact(paid_usd)} of the budget of {usd(budget_usd)}"


def estimate_lines(result: RunResult) -> list[str]:
    """What the whole suite costs live."""
    return [
        f"The whole suite, live: about {usd(each.usd)} with {each.models}"
        for each in result.suite_estimates
    ]


def broken(case: CaseResult) -> list[CheckResult]:
    """The checks of a case that do not hold."""
    return [check for check in case.checks if check.verdict is not Verdict.PASSED]


def case_problems(case: CaseResult) -> list[str]:
    """What these found, each problem with its check."""
    return [f"{check.check}: {problem}" for check in broken(case) for problem in check.problems]


def goal_lines(result: RunResult) -> list[str]:
    """The goals that no case of the run has met, which makes it unknown."""
    return [
        f"goal never met: {goal.name}" + (f" ({goal.problem})" if goal.problem else "")
        for goal in result.unmet
    ]


def problem_lines(result: RunResult) -> list[str]:
    """Why each scenario that did not pass did not, a line a problem."""
    return [
        f"{s.name}/{case.name}: {problem}"
        for s in result.scenarios
        for case in s.cases
        for problem in case_problems(case)
    ]


def second_try_lines(result: RunResult) -> list[str]:
    """What a second try came to, and why there was one."""
    return [
        f"{s.name}/{case.name}: 2nd try {case.verdict}; 1st try {first.verdict}: {first.reason}"
        for s in result.scenarios
        for case, first in s.first_tries
    ]


def schedule_lines(result: RunResult) -> list[str]:
    """Each schedule that was drawn from a seed: what it did, and how it ended."""
    if result.seed is None:
        return []
    return [
        f"{case.name}: {case.verdict}, {len(case.faults)} faults, {len(case.workflows)} workflows, "
        f"{usd(case.cost_usd)} of an ideal {usd(case.ideal_cost_usd)}, {case.duration_s:.1f} s"
        for s in result.scenarios
        for case in s.cases
    ]


def load_lines(result: RunResult) -> list[str]:
    """How well the slots of a worker under load were used, where nothing disturbed it."""
    return [
        f"{s.title}: {case.load.workflows} workflows in {case.load.wall_s:.1f} s; "
        f"their work ÷ slots is {case.load.ideal_s:.1f} s"
        for s in result.scenarios
        for case in s.cases
        if case.load and not case.faults
    ]


def outcome(result: RunResult, as_cell: Cell = cell) -> list[list[str]]:
    """All that is to be said of a run: tables, and lists of lines about them."""
    paid, budget = result.paid_usd, result.budget_usd
    parts = (
        [paid_line(paid, budget)] if paid is not None and budget is not None else [],
        topology_lines(result),
        table_lines(result, as_cell),
        not_run_lines(result),
        schedule_lines(result),
        cost_table_lines(result, as_cell),
        in_doubt_lines(result),
        recovery_table_lines(result, as_cell),
        figure_table_lines(result, as_cell),
        notice_lines(result),
        problem_lines(result),
        goal_lines(result),
        second_try_lines(result),
        load_lines(result),
        estimate_lines(result),
    )
    return [part for part in parts if part]


def _amounts(scenario: ScenarioResult) -> tuple[Decimal, ...]:
    return (
        scenario.cost_usd,
        scenario.ideal_cost_usd,
        scenario.waste_usd,
        scenario.possible_waste_usd,
        scenario.saved_usd,
    )


def _shown(amounts: Sequence[Decimal]) -> tuple[str, ...]:
    billed, ideal, waste, possible, saved = amounts
    return usd(billed), usd(ideal), exact(waste), exact(possible), usd(saved)


def aligned(body: Sequence[Sequence[str]], as_cell: Cell = cell) -> list[str]:
    """A Markdown table whose columns are as wide as they must be; its first row is the head."""
    cells = [[as_cell(text) for text in row] for row in body]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"
