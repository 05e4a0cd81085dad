"""Each scenario of the guide is unknown where its faults did not provably hit work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.evidence.samples import WORKER_CPU, SampleFile
from chaos.faults import KillWorker
from chaos.guide import no_network, restart_some_workers
from chaos.guide.kill_all_workers import all_were_killed
from chaos.guide.no_network import was_cut_at_work
from chaos.guide.restart_some_workers import plan, restarts_were_carried_out
from chaos.invariants.verdict import Verdict
from chaos.search.schedule import load_of
from tests.unit.chaos.guide.made import (
    activity,
    evidence,
    killed,
    ready,
    task,
    task_timed_out,
)
from tests.unit.chaos.guide.test_headings import ABLE
from tests.unit.chaos.made_history import Made, at

TWO = (ready("worker-1", 1, 0), ready("worker-2", 2, 0))
BOTH = (*TWO, *killed("worker-1", 1, 10), *killed("worker-2", 2, 10.02))


def test_all_workers_died_at_once(tmp_path: Path) -> None:
    back = (
        ready("worker-1", 3, 30),
        ready("worker-2", 4, 31),
        ready("payments", 5, 1),
        Entry(at=at(1), event=Event.STARTED, target="worker-3", pid=6),
    )

    assert all_were_killed.examine(evidence(tmp_path, journal=(*BOTH, *back))).problems == ()


@pytest.mark.parametrize(
    ("journal", "why"),
    [
        (TWO, "no worker was killed"),
        (killed("worker-1", 1, 10), "the workers were not down at the same time"),  # none was ready
        ((*TWO, *killed("worker-1", 1, 10)), "worker-2 was not seen to die of SIGKILL"),
        (BOTH[:-1], "worker-2 was not seen to die of SIGKILL"),
        (
            (
                *TWO,
                *killed("worker-1", 1, 10),
                Entry(at=at(11), event=Event.STARTED, target="worker-1", pid=3),
                *killed("worker-2", 2, 12),
            ),
            "the workers were not down at the same time",
        ),
    ],
)
def test_a_worker_that_lived_on_makes_it_unknown(
    tmp_path: Path, journal: tuple[Entry, ...], why: str
) -> None:
    finding = all_were_killed.examine(evidence(tmp_path, journal=journal))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (why,)


def restarted(folder: Path, *, activities: bool = False) -> Evidence:
    """What a run of the plan leaves: one workflow that was open all the time. That none of the
    restarts which wait for an activity has come is right where it has none.
    """
    schedule = plan(ABLE, 1)
    schedule.write(folder)
    made = Made("guide-1")
    task(made, "1@host", 1, 1, 1)
    if activities:
        activity(made, 1, 2, 3)
    made.ended(seconds=100)
    journal = [Entry(at=at(0), event=Event.WORKFLOW, workflow_id="guide-1")]
    at_any = [each for each in schedule.faults if isinstance(each.fault, KillWorker)]
    for number, planned in enumerate(at_any):
        name, when = planned.fault.target, planned.at_seconds
        journal += killed(name, number + 1, when)
        journal.append(Entry(at=at(when + 0.2), event=Event.HEALED, target=name))
    return evidence(folder, made, journal=journal)


def test_every_restart_was_carried_out(tmp_path: Path) -> None:
    assert restarts_were_carried_out.examine(restarted(tmp_path)).problems == ()


def test_a_restart_that_did_not_come_makes_it_unknown(tmp_path: Path) -> None:
    told = restarted(tmp_path)
    last = [entry for entry in told.journal if entry.event is Event.FAULT][-1]
    assert last.target
    without = replace(told, journal=[entry for entry in told.journal if entry is not last])

    finding = restarts_were_carried_out.examine(without)

    assert finding.verdict is Verdict.UNKNOWN
    assert "was not injected at its time" in finding.problems[0]


def test_a_restart_that_met_no_activity_makes_it_unknown_where_there_were_some(
    tmp_path: Path,
) -> None:
    finding = restarts_were_carried_out.examine(restarted(tmp_path, activities=True))

    assert finding.verdict is Verdict.UNKNOWN
    assert set(finding.problems) == {"kill did not reach activity * completing 1"}


def test_one_workflow_with_activities_suffices_for_the_restarts_that_wait_for_them(
    tmp_path: Path,
) -> None:
    told = restarted(tmp_path, activities=True)
    idle = Made("guide-2").ended(seconds=100).workflow()
    both = replace(told, workflows={**told.workflows, idle.workflow_id: idle})

    assert restarts_were_carried_out.examine(both).verdict is Verdict.UNKNOWN


def test_the_plan_of_a_target_is_always_the_same_and_spares_most_workers() -> None:
    schedule = plan(ABLE, 4)

    assert schedule == plan(ABLE, 4)
    assert 0.2 <= 1 / schedule.workers <= 0.3
    assert len(load_of(schedule, ABLE)) == 4 * restart_some_workers.STARTS_PER_WORKFLOW
    assert all(each.at_seconds <= schedule.faults[-1].at_seconds for each in schedule.starts)
    supervised = plan(replace(ABLE, supervisor=("supervisor",)), 4)
    at_any = [each.fault for each in supervised.faults if isinstance(each.fault, KillWorker)]
    assert {fault.target for fault in at_any} == {"fleet-1-worker"}
    assert len(at_any) == restart_some_workers.RESTARTS / 2


def test_completions_before_and_during_the_restarts_are_told(tmp_path: Path) -> None:
    told = restarted(tmp_path)
    found = {each.name: each.value for each in restart_some_workers.figures(told)}

    assert found["restarts"] == restart_some_workers.RESTARTS / 2
    assert found["workflows completed, before the restarts"] == 0
    assert restart_some_workers.figures(evidence(tmp_path)) == ()


CUT = (
    Entry(at=at(10), event=Event.FAULT, kind="down", target=no_network.LINK),
    Entry(at=at(30), event=Event.HEALED, target=no_network.LINK),
)


def at_work(workflow_id: str = "guide-1", *, seconds: float = 5, task_seconds: int = 10) -> Made:
    """A workflow with an activity that took until the cut was over."""
    made = Made(workflow_id)
    first = made.events[0]
    first.event_time.FromDatetime(at(seconds))
    attributes = first.workflow_execution_started_event_attributes
    attributes.workflow_task_timeout.FromSeconds(task_seconds)
    task(made, "1@host", seconds, seconds, seconds)
    activity(made, seconds, seconds + 1, 34)
    task(made, "1@host", 34, 34, 35)
    made.ended(seconds=36)
    return made


def test_workers_were_cut_off_at_work(tmp_path: Path) -> None:
    told = evidence(tmp_path, at_work(), at_work("guide-2", seconds=12), journal=CUT)

    assert was_cut_at_work.examine(told).problems == ()


def test_between_two_short_activities_the_next_one_is_cut_off(tmp_path: Path) -> None:
    made = Made()
    task(made, "1@host", 5, 5, 5)
    activity(made, 5, 6, 9.9)
    task(made, "1@host", 9.9, 9.91, 9.92)
    activity(made, 10.05, 34, 35)
    made.ended(seconds=36)
    told = evidence(tmp_path, made, at_work("guide-2", seconds=12), journal=CUT)

    assert was_cut_at_work.examine(told).problems == ()


def test_a_workflow_that_only_waited_was_not_cut_off_from_work(tmp_path: Path) -> None:
    made = Made()
    task(made, "1@host", 5, 5, 6)
    task(made, "1@host", 40, 40, 41)
    made.ended(seconds=42)
    told = evidence(tmp_path, made, at_work("guide-2", seconds=12), journal=CUT)

    assert was_cut_at_work.examine(told).problems == (
        "no work was in flight when the network was cut",
    )


@pytest.mark.parametrize(
    ("mades", "journal", "why"),
    [
        ((at_work(),), (), "the network was not cut and healed"),
        ((at_work(),), CUT[:1], "the network was not cut and healed"),
        (
            (at_work("late", seconds=12),),
            CUT,
            "no work was in flight when the network was cut",
        ),
        (
            (at_work(task_seconds=25), at_work("guide-2", seconds=12)),
            CUT,
            "it was cut for 20.0 s; a workflow task may take 25.0 s",
        ),
        ((at_work(),), CUT, "no workflow was started while the network was cut"),
    ],
)
def test_a_cut_that_met_nothing_or_was_too_short_is_unknown(
    tmp_path: Path, mades: tuple[Made, ...], journal: tuple[Entry, ...], why: str
) -> None:
    finding = was_cut_at_work.examine(evidence(tmp_path, *mades, journal=journal))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (why,)


def test_the_reconnect_and_the_tasks_that_timed_out_are_told_with_their_bounds(
    tmp_path: Path,
) -> None:
    lost = at_work("guide-2", seconds=12)
    task_timed_out(lost, 12, 22, started=True)
    told = evidence(tmp_path, at_work(), lost, journal=CUT)
    file = SampleFile(tmp_path)
    for pid, seconds, used in (
        *(("1", 10, 1.0), ("1", 30, 2.0), ("1", 36, 3.0)),
        *(("2", 32, 0.5), ("2", 36, 2.0), ("2", 50, 9.0)),
    ):
        file.add(WORKER_CPU, used, {"worker": "worker-1", "pid": pid}, at=at(seconds))
    file.close()

    found = {each.name: each for each in no_network.figures(told)}

    # 10 s between two tries to connect, and 12 s of handover.
    reconnect = found["reconnect time"]
    assert (reconnect.value, reconnect.bound) == (4.0, 22.0)
    # The cut and the lag are 30 s: three timeouts fit, and one had begun.
    timeouts = found["workflow tasks that timed out"]
    assert (timeouts.value, timeouts.bound) == (1, 2 * (3 + 1))
    assert found["processors that the workers took, cut off"].value == 0.05
    # The second began only then; both are counted until the last workflow has ended, after 6 s.
    assert found["processors that the workers took, until all work was done"].value == 0.5


def test_a_reconnect_that_takes_too_long_is_beyond_its_bound(tmp_path: Path) -> None:
    late = Made()
    task(late, "1@host", 1, 1, 1)
    task(late, "1@host", 30, 53, 54)

    found = {each.name: each for each in no_network.figures(evidence(tmp_path, late, journal=CUT))}

    assert not found["reconnect time"].is_within
