"""Several runs as one."""

from __future__ import annotations

from benchmarks.noise import together
from benchmarks.restart import ALL, KILLED, RATIO
from tests.unit.benchmarks.reports import report


def test_a_single_run_stays_as_it_is() -> None:
    one = report([1.0, 2.0])

    assert together([one]) == one


def test_the_values_of_several_runs_are_their_medians() -> None:
    runs = [report([1.0, 2.0, 9.0]), report([3.0]), report([4.0, 6.0])]

    (benchmark,) = together(runs).benchmarks

    row = benchmark.found.tables[0].row(KILLED)
    assert row.cells[ALL].values == (2.0, 3.0, 5.0)
    assert row.cells[RATIO].values == (4.0, 6.0, 10.0)
    assert benchmark.duration_s == 9.0


def test_what_only_one_run_says_is_kept_and_the_rest_said_once() -> None:
    (benchmark,) = together([report([1.0]), report([1.0], note="it rained")]).benchmarks

    notes = benchmark.found.notes
    assert notes[-1] == "it rained"
    assert len(notes) == len(set(notes)) == 2


def test_a_row_that_is_not_in_all_runs_is_left_out() -> None:
    one, other = report([1.0]), report([2.0])
    (benchmark,) = one.benchmarks
    table = benchmark.found.tables[0]
    only_here = table.rows[0].model_copy(update={"name": "only here"})
    longer = table.model_copy(update={"rows": (*table.rows, only_here)})
    rest = benchmark.found.tables[1:]
    found = benchmark.found.model_copy(update={"tables": (longer, *rest)})
    one = one.model_copy(update={"benchmarks": (benchmark.model_copy(update={"found": found}),)})

    (both,) = together([one, other]).benchmarks

    assert [row.name for row in both.found.tables[0].rows] == [row.name for row in table.rows]
