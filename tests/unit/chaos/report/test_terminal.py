"""What a terminal shows of a run, whole and in order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from chaos.experiment.results import NotRun
from chaos.invariants.verdict import Verdict
from chaos.report.files import outcome_lines
from chaos.report.table import cost_table_lines, table_lines
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

FOLDER = Path("reports/run")
ABSENT = NotRun(number=2, name="disk", title="Disk", reason="nobody may mount here")


def test_the_tables_come_first_and_the_overall_line_last() -> None:
    run = a_run(a_scenario("bad", a_case("one", "it broke")), not_run=[ABSENT])

    lines = outcome_lines(run, FOLDER)

    table = table_lines(run)
    assert lines[: len(table)] == table
    assert set(cost_table_lines(run)) <= set(lines)
    assert "bad/one: it_holds: it broke" in lines
    assert "disk was not run: nobody may mount here" in lines
    row = next(line for line in table if "Disk" in line)
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["Not run", "-", "-", "NOT RUN"]
    assert lines[-2:] == [
        "Evidence and results: reports/run",
        "OVERALL: 0/1 tests passed, 1 not run",
    ]


def test_what_was_paid_stands_above_all() -> None:
    run = a_run(a_scenario(), paid_usd=Decimal("1.20"), budget_usd=Decimal(15))

    assert outcome_lines(run, FOLDER)[0] == (
        "Paid in this run: at most $1.20 of the budget of $15.00"
    )


def test_a_second_try_is_told_with_the_reason_for_it(tmp_path: Path) -> None:
    first = a_case("one", "too busy", verdict=Verdict.UNKNOWN)
    run = a_run(a_scenario("odd", a_case("one", first_try=first), a_case("two")))

    lines = outcome_lines(run, tmp_path)

    assert any("PASSED, 2nd try" in line for line in lines)
    assert "odd/one: 2nd try passed; 1st try unknown: too busy" in lines
