"""The ideal, and where more workflows bring no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from benchmarks import plots
from benchmarks.concurrency import (
    ACTORS,
    IDEAL,
    RATIO,
    SLOTS,
    THROUGHPUT,
    Burst,
    Single,
    conclude,
    found,
    plot,
    single_of,
)
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow

_CPU = dict.fromkeys(ACTORS, 0.0)


def _bursts(
    walls: Mapping[int, float], slots: float = 3.0, cores: float = 0.5
) -> Mapping[int, Sequence[Burst]]:
    return {
        count: [Burst(wall, work=slots * wall, cpu={**_CPU, "workers": cores * wall})]
        for count, wall in walls.items()
    }


def test_few_workflows_take_at_least_as_long_as_one() -> None:
    assert Single(work=0.5, length=1.0).ideal(2) == 1.0


def test_many_share_the_slots() -> None:
    assert Single(work=0.5, length=1.0).ideal(120) == pytest.approx(120 * 0.5 / SLOTS)


def test_the_wall_time_is_compared_with_the_ideal_by_one_alone() -> None:
    singles = [Single(0.5, 1.0), Single(0.6, 1.2), Single(0.7, 1.4)]

    (row,) = found(singles, _bursts({100: 25.0})).tables[0].rows

    assert row.cells[IDEAL].median == pytest.approx(100 * 0.6 / SLOTS)
    assert row.cells[RATIO].median == pytest.approx(2.5)
    assert row.cells[THROUGHPUT].values == (4.0,)
    assert row.cells["workers"].values == (0.5,)


def test_it_says_from_where_on_more_bring_no_more() -> None:
    said = conclude(found([Single(0.5, 1.0)], _bursts({5: 5.0, 50: 10.0, 500: 98.0})))

    assert said.startswith("From 50 workflows on")
    assert "5.1 workflows a second" in said
    assert f"3.0 of {SLOTS} slots are in use and 0.50 cores kept busy: workers 0.50" in said


def test_while_it_scales_the_last_count_is_named() -> None:
    said = conclude(found([Single(0.5, 1.0)], _bursts({5: 5.0, 50: 10.0})))

    assert said.startswith("From 50 workflows on")


@pytest.mark.parametrize(
    ("slots", "cores", "expected"),
    [(3.0, 0.5, "Neither is full"), (6.0, 0.5, "The slots"), (6.0, 999.0, "The processors")],
)
def test_it_names_what_is_full(slots: float, cores: float, expected: str) -> None:
    said = conclude(found([Single(0.5, 1.0)], _bursts({5: 5.0}, slots, cores)))

    assert expected in said


def test_it_says_what_the_servers_disk_takes() -> None:
    slow, control = _bursts({100: 24.0}), _bursts({100: 12.0})

    told = found([Single(0.6, 1.0)], slow, control)

    assert conclude(told).endswith("100 take 1.20 times the ideal, with them in a file 2.40.")


def test_the_work_of_one_alone_is_that_of_its_activities(concurrency: Evidence) -> None:
    workflow = next(iter(concurrency.workflows.values()))

    one = single_of(workflow)

    assert 0 < one.work < one.length


def test_one_that_has_not_completed_is_no_figure(concurrency: Evidence) -> None:
    workflow = next(iter(concurrency.workflows.values()))
    run = workflow.runs[-1]
    half = Workflow(workflow.workflow_id, (type(run)(run.workflow_id, run.events[:-1]),))

    with pytest.raises(RuntimeError, match="not completed"):
        single_of(half)


def test_its_plot_has_the_ideal_and_units() -> None:
    text = plots.svg(plot(found([Single(0.5, 1.0)], _bursts({5: 5.0, 50: 9.0}))), "concurrency")

    assert "ideal: work ÷ slots" in text
    assert "seconds, logarithmic" in text
    assert "cores kept busy" in text
