"""The results table and its last line, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from chaos.report.results import RunResult, ScenarioResult
from chaos.verdict import Verdict

HEAD = ("Test", "Status", "Duration", "Cost", "Pass/Fail")


def rows(scenarios: Sequence[ScenarioResult]) -> list[tuple[str, ...]]:
    """One row for each scenario, in the order of their numbers."""
    return [
        (
            f"{s.number}. {s.title}",
            s.status.capitalize(),
            f"{s.duration_s:.1f} s",
            cost(s),
            s.verdict.upper(),
        )
        for s in scenarios
    ]


def cost(scenario: ScenarioResult) -> str:
    """What was billed; where that is not the ideal, the ideal and the waste beside it."""
    billed, ideal = scenario.cost_usd, scenario.ideal_cost_usd
    if billed == ideal:
        return usd(billed)
    kind = "waste" if billed > ideal else "missing"
    return f"{usd(billed)} (ideal {usd(ideal)}, {kind} ${abs(billed - ideal)})"


def usd(amount: Decimal) -> str:
    """Dollars and cents: half a cent is rounded up, as the reference figures are."""
    return f"${amount.quantize(Decimal('0.01'), ROUND_HALF_UP)}"


def overall_line(result: RunResult) -> str:
    """How many passed."""
    return f"OVERALL: {result.overall.passed}/{result.overall.total} tests passed"


def table_lines(result: RunResult) -> list[str]:
    """The table with aligned columns; it is Markdown, too."""
    body = [HEAD, *rows(result.scenarios)]
    widths = [max(len(row[column]) for row in body) for column in range(len(HEAD))]
    lines = [_line(row, widths) for row in body]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def problem_lines(result: RunResult) -> list[str]:
    """Why each scenario that did not pass did not, a line a problem."""
    return [
        f"{s.name}/{case.name}: {check.check}: {problem}"
        for s in result.scenarios
        for case in s.cases
        for check in case.checks
        if check.verdict is not Verdict.PASSED
        for problem in check.problems
    ]


def load_lines(result: RunResult) -> list[str]:
    """How well the slots of a worker under load were used."""
    return [
        f"{s.title}: {case.load.workflows} workflows in {case.load.wall_s:.1f} s; "
        f"their work ÷ slots is {case.load.ideal_s:.1f} s"
        for s in result.scenarios
        for case in s.cases
        if case.load and s.name == "concurrency"
    ]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
    return "| " + " | ".join(cells) + " |"
