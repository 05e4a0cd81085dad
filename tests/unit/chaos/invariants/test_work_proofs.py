"""Faults that met nothing, in evidence of real runs that once passed; and ones that met work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs.work import faults_met_work, is_undisturbed
from chaos.invariants.recovery import met_work
from chaos.invariants.verdict import Verdict

RUN = Path(__file__).parents[3] / "data" / "false_passes"
EVERY = faults_met_work(all_kinds=True)
ANY = faults_met_work(all_kinds=False)

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


def _also(evidence: Evidence, *entries: Entry) -> Evidence:
    return replace(evidence, journal=sorted((*evidence.journal, *entries), key=lambda e: e.at))


def _began_to_wait(evidence: Evidence) -> datetime:
    """When the first attempt that lasted began."""
    return min(
        a.started_at
        for w in evidence.workflows.values()
        for a in w.activities
        if a.started_at and a.closed_at and a.closed_at - a.started_at > timedelta(seconds=0.2)
    )


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("kill_of_an_idle_worker", "kill at worker-1"),
        ("server_dies_when_all_is_done", "kill at temporal-server"),
        ("pause_of_an_idle_worker", "pause at worker-1"),
    ],
)
@pytest.mark.parametrize("proof", [EVERY, ANY])
def test_a_fault_that_met_nothing_is_unknown(case: str, fault: str, proof: object) -> None:
    finding = (EVERY if proof is EVERY else ANY).examine(Evidence.load(RUN / case))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (f"it hit nothing: {fault} hit no work in flight",)


@pytest.mark.parametrize(
    "name", ["worker_crash", "retry_config", "server_restart", "each_role", "control", "checkpoint"]
)
def test_faults_that_met_work_are_proven(name: str, request: pytest.FixtureRequest) -> None:
    assert EVERY.examine(request.getfixturevalue(name)).problems == ()


def test_each_kind_of_fault_at_each_target_has_to_meet_work(checkpoint: Evidence) -> None:
    at = checkpoint.first_entry(Event.ENDING) or checkpoint.journal[-1]
    idle = Entry(at=at.at, event=Event.FAULT, kind="pause", target="worker-2", pid=at.pid)
    twice = [idle, idle.model_copy(update={"at": at.at + timedelta(seconds=0.1)})]

    more = _also(checkpoint, *twice)

    assert EVERY.examine(more).problems == (
        "it hit nothing: pause at worker-2 (2 times) hit no work in flight",
    )
    assert ANY.examine(more).problems == ()


def test_a_second_kill_of_the_same_kind_may_miss(checkpoint: Evidence) -> None:
    kill = checkpoint.first_entry(Event.FAULT, target="worker-1")
    assert kill
    late = kill.model_copy(update={"at": checkpoint.journal[-1].at})

    assert EVERY.examine(_also(checkpoint, late)).problems == ()


@pytest.fixture
def ready(concurrency: Evidence) -> Entry:
    """Of the only worker, which nothing happens to."""
    entry = concurrency.first_entry(Event.READY, target="worker-1")
    assert entry
    return entry


def _paused(evidence: Evidence, worker: Entry, at: datetime, seconds: float) -> bool:
    """Whether a pause of a worker from then on would have met work."""
    fault = Entry(at=at, event=Event.FAULT, kind="pause", target=worker.target)
    signals = [
        Entry(
            at=at + timedelta(seconds=after),
            event=Event.SIGNALED,
            target=worker.target,
            pid=worker.pid,
            signal=name,
        )
        for after, name in ((0.0, "SIGSTOP"), (seconds, "SIGCONT"))
    ]
    return met_work(_also(evidence, fault, *signals), fault)


def test_a_pause_meets_what_the_worker_had_in_flight(concurrency: Evidence, ready: Entry) -> None:
    assert _paused(concurrency, ready, _began_to_wait(concurrency), 0.01)


def test_a_pause_meets_what_came_for_the_worker_meanwhile(
    concurrency: Evidence, ready: Entry
) -> None:
    first = min(workflow.started_at for workflow in concurrency.workflows.values())
    task = min(
        a.scheduled_at for workflow in concurrency.workflows.values() for a in workflow.activities
    )

    assert not _paused(concurrency, ready, first - timedelta(seconds=0.2), 0.1)
    assert _paused(concurrency, ready, first - timedelta(seconds=0.2), 60.0)
    assert task > first


def test_a_worker_that_had_nothing_in_hand_met_nothing_beside_one_that_had(
    concurrency: Evidence, ready: Entry
) -> None:
    idle = ready.model_copy(update={"target": "worker-2", "pid": 99})
    beside = _also(concurrency, idle)

    assert not _paused(beside, idle, _began_to_wait(concurrency), 0.01)


def test_an_identity_of_a_workers_own_choice_may_be_the_victims(
    concurrency: Evidence, ready: Entry, with_history: Change
) -> None:
    def renamed(history: History) -> None:
        for event in history.events:
            for named in (
                event.activity_task_started_event_attributes,
                event.workflow_task_started_event_attributes,
            ):
                if named.identity:
                    named.identity = "billing-7"

    for workflow_id in concurrency.workflows:
        concurrency = with_history(concurrency, workflow_id, renamed)

    assert _paused(concurrency, ready, _began_to_wait(concurrency), 0.01)


def test_a_workflow_that_the_server_has_forgotten_was_hit(control: Evidence) -> None:
    (fault,) = [entry for entry in control.journal if entry.event is Event.FAULT]

    assert not control.workflows
    assert met_work(control, fault)
    assert not met_work(_without_workflows(control), fault)


def _without_workflows(evidence: Evidence) -> Evidence:
    journal = [entry for entry in evidence.journal if entry.event is not Event.WORKFLOW]
    return replace(evidence, journal=journal)


def test_what_is_declared_undisturbed_has_no_fault(
    checkpoint: Evidence, concurrency: Evidence
) -> None:
    assert is_undisturbed.examine(concurrency).problems == ()
    finding = is_undisturbed.examine(checkpoint)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (
        "the case is declared undisturbed, and its journal has kill at worker-1",
    )


def test_a_case_without_any_fault_on_record_hit_nothing(concurrency: Evidence) -> None:
    (problem,) = EVERY.examine(concurrency).problems

    assert problem.startswith("it hit nothing: no fault is on record.")
    assert ANY.examine(concurrency).problems == ()


def test_what_is_declared_undisturbed_gets_no_signal(checkpoint: Evidence) -> None:
    """A process may get a signal without a fault on record."""
    journal = [entry for entry in checkpoint.journal if entry.event is not Event.FAULT]

    finding = is_undisturbed.examine(replace(checkpoint, journal=journal))

    assert finding.problems == ("the case is declared undisturbed, and worker-1 got SIGKILL",)


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("kill_after_a_termination", "kill at worker-1"),
        ("service_down_while_nobody_asks", "kill at carrier"),
        ("link_of_an_idle_worker", "down at worker-2>server"),
    ],
)
def test_a_workflow_that_only_waits_or_has_ended_was_not_hit(case: str, fault: str) -> None:
    (problem,) = EVERY.examine(Evidence.load(RUN / case)).problems

    assert problem == f"it hit nothing: {fault} hit no work in flight"


def test_a_service_that_a_child_may_ask_was_missed() -> None:
    """What the child had in flight is in a history of its own."""
    evidence = Evidence.load(RUN / "worker_dies_with_a_child")
    kill = evidence.first_entry(Event.FAULT)
    assert kill
    down = Entry(at=kill.at, event=Event.FAULT, kind="kill", target="carrier")

    for each in (evidence, replace(evidence, children=())):
        assert met_work(_also(each, down), down)
