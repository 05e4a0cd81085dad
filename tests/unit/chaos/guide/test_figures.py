"""Backlog, drain time, waits and replays are computed from samples and histories, with bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.guide.figures import (
    backlog_drains,
    backlog_grew,
    depths,
    drain_time,
    replays,
    waits,
)
from chaos.guide.gap import Gap, gap_of, queueing_seconds
from chaos.invariants.figures import Figure, keeps_its_bounds
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.guide.made import (
    Depths,
    activity,
    evidence,
    killed,
    ready,
    task,
    task_timed_out,
)
from tests.unit.chaos.made_history import Made, at

HANDOVER_SECONDS = 12.0
"""1 s of timers, 10 s of the sticky queue, 1 s of a poll: the defaults of `Timings`."""
KILL = (ready("worker-1", 1, 0), *killed("worker-1", 1, 10), ready("worker-1", 2, 30))
GAP = Gap(at(10), at(30), workers=1)


def survivor() -> Made:
    """A workflow whose second task came while no worker was there."""
    made = Made()
    task(made, "1@host", 1, 1, 2)
    activity(made, 2, 2, 9)
    task(made, "2@host", 9, 31, 31.5)
    made.ended(seconds=32)
    return made


def by_name(*figures: Figure) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_a_gap_lasts_from_the_fault_until_a_worker_is_ready(tmp_path: Path) -> None:
    assert gap_of(evidence(tmp_path, survivor(), journal=KILL), workers=1) == GAP
    assert gap_of(evidence(tmp_path, survivor(), journal=KILL[:1]), workers=1) is None


def test_a_gap_without_a_worker_after_it_lasts_to_the_end(tmp_path: Path) -> None:
    ending = Entry(at=at(99), event=Event.ENDING)
    found = gap_of(evidence(tmp_path, survivor(), journal=(*KILL[:-1], ending)), workers=1)

    assert found == Gap(at(10), at(99), workers=1)


def test_a_cut_line_has_the_lag_of_a_reconnect_and_of_the_keepalive_if_it_was_silent(
    tmp_path: Path,
) -> None:
    for kind, lag in (("down", 10.0), ("black_hole", 10.0 + 45 - 20)):
        link = {"target": "fleet-1>server"}
        journal = (
            Entry(at=at(10), event=Event.FAULT, kind=kind, **link),
            Entry(at=at(30), event=Event.HEALED, **link),
        )

        found = gap_of(evidence(tmp_path, survivor(), journal=journal), workers=3)

        assert found == Gap(at(10), at(30), workers=3, lag_seconds=lag)


def test_the_deepest_backlog_of_each_kind(tmp_path: Path) -> None:
    told = evidence(
        tmp_path,
        depths=[
            (1, {"workflow": 0, "activity": 0}),
            (2, {"workflow": 4, "activity": 1}),
            (3, {"workflow": 2, "activity": 3}),
        ],
    )

    assert {each.name: each.value for each in depths(told)} == {
        "deepest backlog, workflow tasks": 4,
        "deepest backlog, activity tasks": 3,
    }


def test_a_backlog_has_drained_when_nothing_waits_any_more(tmp_path: Path) -> None:
    told = evidence(
        tmp_path,
        survivor(),
        journal=KILL,
        depths=[(s, {"workflow": n}) for s, n in ((20, 1), (31, 0), (33, 2), (35, 0), (40, 0))],
    )
    (drain,) = drain_time(told, GAP)

    # Half a second of work is left: of one worker it is all, and the longest piece.
    assert (drain.value, drain.bound) == (5.0, HANDOVER_SECONDS + 0.5 + 0.5 + 2 * 0.5)
    assert not list(backlog_drains.judge(told))


def test_a_backlog_that_never_drains_is_seen(tmp_path: Path) -> None:
    told = evidence(
        tmp_path,
        survivor(),
        journal=KILL,
        depths=[(20, {"workflow": 1}), (90, {"workflow": 1, "activity": 2})],
    )
    (drain,) = drain_time(told, GAP)

    assert (drain.value, drain.is_within) == (60.0, False)
    finding = backlog_drains.examine(told)
    assert finding.verdict is Verdict.FAILED
    assert finding.problems == ("3 tasks still waited in the task queues at the end",)
    late = keeps_its_bounds(lambda evidence: list(drain_time(evidence, GAP))).examine(told)
    assert late.verdict is Verdict.FAILED


def test_without_samples_nothing_is_said_of_a_backlog(tmp_path: Path) -> None:
    told = evidence(tmp_path, survivor(), journal=KILL)

    assert list(drain_time(told, GAP)) == []
    assert list(depths(told)) == []
    assert backlog_drains.examine(told).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("journal", "waiting", "why"),
    [
        (KILL[:1], [(20, 3)], "nothing was broken"),
        (KILL, [], "no backlog was measured"),
        (KILL, [(20, 0)], "no task waited in the 20.0 s without workers"),
        (KILL, [(9, 1), (20, 0), (31, 1)], "no task waited in the 20.0 s without workers"),
    ],
)
def test_a_backlog_that_never_grew_proves_nothing(
    tmp_path: Path, journal: tuple[Entry, ...], waiting: list[tuple[float, float]], why: str
) -> None:
    told = evidence(
        tmp_path,
        survivor(),
        journal=journal,
        depths=[(seconds, {"workflow": count}) for seconds, count in waiting],
    )
    finding = backlog_grew.examine(told)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems[0].startswith(why)


def test_a_backlog_that_grew_in_the_gap_is_a_proof(tmp_path: Path) -> None:
    told = evidence(tmp_path, survivor(), journal=KILL, depths=[(20, {"activity": 1})])

    assert backlog_grew.examine(told).verdict is Verdict.PASSED


def test_tasks_may_wait_for_the_gap_the_handover_and_the_work_that_is_left(tmp_path: Path) -> None:
    told = evidence(tmp_path, survivor(), journal=KILL)
    found = by_name(*waits(told, GAP))["schedule to start, workflow tasks, longest"]

    assert (found.value, found.bound) == (22.0, 20 + HANDOVER_SECONDS + 0.5 + 0.5)


def test_a_task_waits_since_it_was_first_scheduled(tmp_path: Path) -> None:
    made = Made()
    task(made, "1@host", 1, 1, 2)
    task_timed_out(made, 11, 21, started=False)
    task(made, "2@host", 21, 31, 32)
    made.ended(seconds=33)

    found = by_name(*waits(evidence(tmp_path, made, journal=KILL), GAP))

    assert found["schedule to start, workflow tasks, longest"].value == 20


def test_only_first_attempts_of_activities_have_a_known_wait(tmp_path: Path) -> None:
    made = Made()
    activity(made, 11, 35, 36)
    activity(made, 11, 60, 61, attempt=2)

    found = by_name(*waits(evidence(tmp_path, made, journal=KILL), GAP))

    assert found["schedule to start, activities, longest"].value == 24


def test_work_that_is_left_is_shared_by_the_workers(tmp_path: Path) -> None:
    made = Made()
    for start in (31, 41):
        activity(made, 11, start, start + 10)
    told = evidence(tmp_path, made, journal=KILL)

    assert queueing_seconds(told, GAP) == HANDOVER_SECONDS + 20 + 10
    assert queueing_seconds(told, Gap(at(10), at(30), workers=4)) == HANDOVER_SECONDS + 5 + 10


def test_a_replay_is_an_answer_of_another_worker(tmp_path: Path) -> None:
    made = survivor()
    made.events[0].workflow_execution_started_event_attributes.workflow_task_timeout.FromSeconds(10)
    found = by_name(*replays(evidence(tmp_path, made, journal=KILL)))

    assert found["workflows replayed by another worker"].value == 1
    longest = found["replay latency, longest"]
    assert (longest.value, longest.bound) == (0.5, 10)


def test_where_the_same_worker_goes_on_nothing_is_replayed(tmp_path: Path) -> None:
    made = Made()
    task(made, "1@host", 1, 1, 2)
    task(made, "1@host", 3, 3, 4)

    (found,) = replays(evidence(tmp_path, made))

    assert (found.name, found.value) == ("workflows replayed by another worker", 0)


def replayed_too_slowly(worker: str) -> Made:
    """A workflow whose second task that worker got, and did not answer in 10 s."""
    made = Made()
    attributes = made.events[0].workflow_execution_started_event_attributes
    attributes.workflow_task_timeout.FromSeconds(10)
    task(made, "1@host", 1, 1, 2)
    task_timed_out(made, 40, 50.0004, started=True, worker=worker)
    task(made, worker, 51, 51, 52)
    made.ended(seconds=53)
    return made


def test_a_replay_that_takes_longer_than_its_task_may_is_beyond_its_bound(tmp_path: Path) -> None:
    told = evidence(tmp_path, replayed_too_slowly("2@host"), journal=KILL)
    latency = by_name(*replays(told))["replay latency, longest"]

    assert (latency.value, latency.bound) == (10.001, 10)
    assert keeps_its_bounds(lambda each: tuple(replays(each))).examine(told).problems


@pytest.mark.parametrize(
    ("worker", "more"),
    [
        ("1@host", ()),  # it had the workflow's state
        ("2@host", killed("worker-1", 2, 45)),
        (
            "2@host",
            (
                Entry(at=at(45), event=Event.FAULT, kind="down", target="fleet-1>server"),
                Entry(at=at(46), event=Event.HEALED, target="fleet-1>server"),
            ),
        ),
    ],
)
def test_a_task_whose_worker_was_hit_meanwhile_is_no_slow_replay(
    tmp_path: Path, worker: str, more: tuple[Entry, ...]
) -> None:
    told = evidence(tmp_path, replayed_too_slowly(worker), journal=(*KILL, *more))

    assert all(figure.is_within for figure in replays(told))


def test_another_workers_death_excuses_no_slow_replay(tmp_path: Path) -> None:
    others = (ready("worker-2", 3, 0), *killed("worker-2", 3, 45))
    told = evidence(tmp_path, replayed_too_slowly("2@host"), journal=(*KILL, *others))

    assert not all(figure.is_within for figure in replays(told))


@pytest.mark.parametrize(
    ("depths", "why"),
    [
        (((10.0, {"workflow": 0.0}),), "no backlog was measured after the last workflow had ended"),
        (
            ((10.0, {"workflow": 0.0, "activity": 3.0}), (33.0, {"workflow": 0.0})),
            "the backlog of a task queue was not measured at the end",
        ),
    ],
)
def test_a_backlog_that_was_not_measured_at_the_end_is_unknown(
    tmp_path: Path, depths: Depths, why: str
) -> None:
    finding = backlog_drains.examine(evidence(tmp_path, survivor(), journal=KILL, depths=depths))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems[0] == why


def test_an_empty_queue_hides_no_backlog_of_another(tmp_path: Path) -> None:
    told = evidence(
        tmp_path, survivor(), journal=KILL, depths=((33.0, {"workflow": 0.0, "activity": 3.0}),)
    )

    assert backlog_drains.examine(told).verdict is Verdict.FAILED


def test_what_waited_before_the_gap_is_none_of_its_doing(tmp_path: Path) -> None:
    made = Made()
    task(made, "1@host", 1, 1, 2)
    activity(made, 2, 9, 9.5)
    task(made, "1@host", 3, 9, 9.6)
    task(made, "2@host", 29, 31, 32)
    activity(made, 31, 34, 35)
    made.ended(seconds=36)
    found = by_name(*waits(evidence(tmp_path, made, journal=KILL), GAP))

    assert {name: figure.value for name, figure in found.items()} == {
        "schedule to start, workflow tasks, longest": 2,
        "schedule to start, activities, longest": 3,
    }


def test_one_sample_in_the_gap_suffices_and_one_beside_it_does_not(tmp_path: Path) -> None:
    within = ((9.0, {"workflow": 0.0}), (20.0, {"workflow": 2.0}), (25.0, {"workflow": 0.0}))
    told = evidence(tmp_path, survivor(), journal=KILL, depths=within)

    assert backlog_grew.examine(told).problems == ()


def test_the_bound_of_a_replay_is_that_of_the_most_patient_workflow(tmp_path: Path) -> None:
    mades = []
    for number, seconds in enumerate((10, 40)):
        made = Made(f"guide-{number}")
        attributes = made.events[0].workflow_execution_started_event_attributes
        attributes.workflow_task_timeout.FromSeconds(seconds)
        task(made, "1@host", 1, 1, 2)
        task(made, "2@host", 31, 31, 32 + number)
        mades.append(made.ended(seconds=36))
    latency = by_name(*replays(evidence(tmp_path, *mades, journal=KILL)))["replay latency, longest"]

    assert (latency.value, latency.bound) == (2, 40)
