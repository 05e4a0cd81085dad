"""Lines over time, of hand-made samples: rates, gaps, restarts, and nonsense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.evidence.samples import BACKLOG, SERVED, WORKER_CPU, WORKER_MEMORY, Sample
from chaos.report.html.chart import charts
from chaos.report.html.plots import Plots, plots
from chaos.report.html.series import MOST_BINS, MOST_LINES, Line, Measures, measures
from chaos.report.html.values import Timeline
from tests.unit.chaos.hostile import HOSTILE
from tests.unit.kept import EVIDENCE

BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LAST = 10.0
KILLED = EVIDENCE / "worker_crash" / "sigkill_twice"


def _sample(name: str, at: float, value: float, **labels: str) -> Sample:
    return Sample(at=BEGIN + timedelta(seconds=at), name=name, value=value, labels=labels)


def _measures(samples: Sequence[Sample], last: float = LAST) -> dict[str, Measures]:
    ends = (Entry(at=BEGIN + timedelta(seconds=at), event=Event.STAGE) for at in (0, last))
    evidence = Evidence(folder=Path(), specs=(), workflows={}, journal=tuple(ends))
    return {each.title: each for each in measures(evidence, samples, 0.0, last)}


def _drawn(found: Sequence[Measures], last: float = LAST) -> Plots:
    timeline = Timeline(0.0, last, (), (), (), (), ())
    drawn = plots(found, timeline, charts(timeline)[0])
    assert drawn
    return drawn


def _served(at: float, value: float = 1.0, worker: str = "worker-1") -> Sample:
    return _sample(SERVED, at, value, worker=worker)


def test_nothing_measured_is_nothing_drawn() -> None:
    assert _measures([]) == {}
    timeline = Timeline(0.0, LAST, (), (), (), (), ())
    assert plots([], timeline, charts(timeline)[0]) is None


def test_a_single_sample_is_a_dot() -> None:
    found = _measures([_sample(BACKLOG, 5, 3, kind="workflow")])

    assert found["Backlog"].lines == (Line("workflow", ((5.0, 3.0),)),)
    (plot,) = _drawn([found["Backlog"]]).plots
    assert (plot.top, plot.curves[0].path) == ("3 tasks", "")
    assert [x for x, _ in plot.curves[0].dots] == [50.0]


def test_queues_are_added_up_and_a_gap_is_a_break() -> None:
    samples = [
        _sample(BACKLOG, at, value, kind="activity", task_queue=queue)
        for queue, value in (("a", 1), ("b", 2))
        for at in (0, 1, 2, 8, 9)
    ]

    (line,) = _measures(samples)["Backlog"].lines

    assert line.points == ((0.0, 3.0), (1.0, 3.0), (2.0, 3.0), (8.0, None), (8.0, 3.0), (9.0, 3.0))
    (plot,) = _drawn([_measures(samples)["Backlog"]]).plots
    assert plot.curves[0].path.count("M") == 2


def test_a_counter_is_a_rate_and_starts_again_with_its_worker() -> None:
    samples = [
        _served(0.5),
        *(
            _sample("request_failure", at, value, worker="worker-1", status_code="UNAVAILABLE")
            for at, value in ((0.5, 4), (1.5, 10), (6.5, 3))
        ),
        _served(3.5, 0),
        _served(6.5),
    ]

    (line,) = _measures(samples)["gRPC failures"].lines

    values = [value for _, value in line.points]
    assert line.name == "UNAVAILABLE"
    assert values == [4, 6, 0, None, None, None, 3, 0, 0, 0]


def test_a_gauge_holds_until_its_worker_no_longer_serves_it() -> None:
    samples = [
        _served(0.5),
        _sample("worker_task_slots_used", 0.5, 2, worker="worker-1", worker_type="Activity"),
        _served(1.5, worker="worker-2"),
        _sample("worker_task_slots_used", 1.5, 3, worker="worker-2", worker_type="Activity"),
        _served(4.5, 0),
        _served(6.5, 0, worker="worker-2"),
    ]

    (line,) = _measures(samples)["Slots used"].lines

    assert [value for _, value in line.points] == [2, 5, 5, 5, 3, 3, None, None, None, None]


def test_a_latency_is_the_mean_of_what_was_new() -> None:
    name = "workflow_task_replay_latency_seconds"
    samples = [
        _sample(name, at, total, worker="worker-1").model_copy(update={"count": count})
        for at, total, count in ((0.5, 1.0, 2), (1.5, 4.0, 3), (2.5, 0.5, 1))
    ]

    (line,) = _measures(samples)["Workflow tasks"].lines

    assert line.points == ((0.5, 0.5), (1.5, 3.0), (2.5, 0.5))


def test_cpu_time_is_cores_and_another_process_begins_anew() -> None:
    samples = [
        _sample(WORKER_CPU, at, value, worker="worker-1", pid=pid)
        for at, value, pid in ((0, 5, "1"), (1, 5.5, "1"), (2, 0.5, "2"), (3, 1.5, "2"))
    ]

    (line,) = _measures(samples)["Worker CPU"].lines

    assert line.points == ((1, 0.5), (3, 1.0))


def test_the_workers_of_a_supervisor_are_one_line_of_all_together() -> None:
    samples = [
        _sample(name, at, value, worker="fleet-1-worker", pid=pid)
        for name, first in ((WORKER_CPU, 1.0), (WORKER_MEMORY, 1_048_576.0))
        for at, value in ((0, first), (1, 2 * first))
        for pid in "123"
    ]

    found = _measures(samples)

    assert found["Worker CPU"].lines == (Line("fleet-1-worker", ((1.0, 3.0),)),)
    assert found["Worker memory"].lines == (Line("fleet-1-worker", ((0.0, 3.0), (1.0, 6.0))),)


def test_a_point_alone_between_gaps_is_a_dot() -> None:
    samples = [_sample(BACKLOG, at, 2, kind="workflow") for at in (0, 1, 5, 9, 10)]

    (plot,) = _drawn([_measures(samples)["Backlog"]]).plots

    assert [x for x, _ in plot.curves[0].dots] == [50.0]
    assert plot.curves[0].path.count("M") == 2


def test_a_long_case_is_thinned_and_its_highest_value_stays() -> None:
    last = 36_000.0
    samples = [
        _sample(BACKLOG, at, 99 if at == 17_171 else 1, kind="workflow") for at in range(36_000)
    ]

    (line,) = _measures(samples, last)["Backlog"].lines

    assert len(line.points) <= MOST_BINS + 1
    assert line.top == 99
    assert len(_drawn([_measures(samples, last)["Backlog"]], last).plots[0].curves[0].path) < 5_000


def test_of_many_lines_the_highest_are_shown_and_the_others_counted() -> None:
    samples = [_sample(WORKER_MEMORY, 1, n * 1e6, worker=f"worker-{n}") for n in range(20)]

    found = _measures(samples)["Worker memory"]

    assert (len(found.lines), found.hidden) == (MOST_LINES, 13)  # one used none at all
    assert "worker-19" in [line.name for line in found.lines]


@pytest.mark.parametrize("value", [1e308, 5e-324, 0.0, -7.0])
def test_absurd_values_stay_within_the_plot(value: float) -> None:
    found = _measures([_sample(BACKLOG, at, value, kind=HOSTILE) for at in (0, 1, 2)])

    (plot,) = _drawn(list(found.values())[:1]).plots

    (curve,) = plot.curves
    heights = [float(part.split()[1]) for part in curve.path[1:].split("L")]
    assert all(0 <= height <= plot.height for height in heights)


def test_histories_alone_tell_how_long_tasks_waited_and_what_was_done() -> None:
    evidence = Evidence.load(KILLED)
    before = replace(evidence, folder=Path("/nonexistent"))

    found = {each.title: each for each in measures(before, before.samples, 0.0, 1_000.0)}

    assert found.keys() == {"Schedule-to-start", "Activities done"}
    assert {line.name for line in found["Schedule-to-start"].lines} == {
        "workflow tasks",
        "activities",
    }
