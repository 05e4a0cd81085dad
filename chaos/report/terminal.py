"""What a terminal shows at the end of a run, and whenever its report is asked for."""

from __future__ import annotations

from pathlib import Path

from chaos.experiment.results import RunResult
from chaos.report.html import NAME
from chaos.report.table import (
    ambiguous_lines,
    cost_table_lines,
    estimate_lines,
    load_lines,
    not_run_lines,
    overall_line,
    paid_line,
    problem_lines,
    recovery_table_lines,
    schedule_lines,
    second_try_lines,
    table_lines,
    topology_lines,
)


def outcome_lines(result: RunResult, folder: Path) -> list[str]:
    """The tables with what is to be said of them, and the OVERALL line at the end."""
    recovery = recovery_table_lines(result)
    paid, budget = result.paid_usd, result.budget_usd
    return [
        *([paid_line(paid, budget)] if paid is not None and budget is not None else []),
        *topology_lines(result),
        *table_lines(result),
        *not_run_lines(result),
        *schedule_lines(result),
        "",
        *cost_table_lines(result),
        *ambiguous_lines(result),
        "",
        *(*recovery, *([""] if recovery else [])),
        *problem_lines(result),
        *second_try_lines(result),
        *load_lines(result),
        *estimate_lines(result),
        f"Evidence and results: {folder}",
        *([f"To read: {folder / NAME}"] if (folder / NAME).exists() else []),
        overall_line(result),
    ]
