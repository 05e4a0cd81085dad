"""The ideal of many workflows at once, by one alone."""

from __future__ import annotations

import pytest

from benchmarks.bed import closed_at
from benchmarks.concurrency import IDEAL, RATIO, SLOTS, THROUGHPUT, Burst, Single, found, work_of
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow


def test_few_workflows_take_at_least_as_long_as_one_and_many_share_the_slots() -> None:
    assert Single(work=0.5, length=1.0).ideal(2) == 1.0
    assert Single(work=0.5, length=1.0).ideal(120) == pytest.approx(120 * 0.5 / SLOTS)


def test_the_wall_time_is_compared_with_the_ideal_by_one_alone() -> None:
    singles = [Single(0.5, 1.0), Single(0.6, 1.2), Single(0.7, 1.4)]

    (row,) = found(singles, {100: [Burst(25.0, work=75, cpu=12.5)]}).tables[0].rows

    assert row.cells[IDEAL].median == pytest.approx(100 * 0.6 / SLOTS)
    assert row.cells[RATIO].median == pytest.approx(2.5)
    assert row.cells[THROUGHPUT].values == (4.0,)
    assert row.cells["slots in use"].values == (3.0,)
    assert row.cells["cores busy"].values == (0.5,)


def test_the_work_of_one_alone_is_that_of_its_activities(concurrency: Evidence) -> None:
    workflow = next(iter(concurrency.workflows.values()))

    assert 0 < work_of(workflow) < (closed_at(workflow) - workflow.started_at).total_seconds()


def test_one_that_has_not_completed_is_no_figure(concurrency: Evidence) -> None:
    workflow = next(iter(concurrency.workflows.values()))
    run = workflow.runs[-1]
    half = Workflow(workflow.workflow_id, (type(run)(run.workflow_id, run.events[:-1]),))

    with pytest.raises(RuntimeError, match="not completed"):
        closed_at(half)
