"""Workers whose identity is their own: the same evidence, with other names in the histories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs.work import faults_met_work
from chaos.invariants.recovery import met_work, recoveries
from chaos.invariants.recovery.faults import may_serve, queues
from chaos.invariants.recovery.victims import victim_of

STARTED = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: "workflow_task_started_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: "activity_task_started_event_attributes",
}


def _renamed(evidence: Evidence, names: Mapping[str, str], *, journaled: bool = True) -> Evidence:
    """Each worker, by its name in the journal, polls under the identity that it has here."""
    by_pid = {
        str(entry.pid): names[entry.target or ""]
        for entry in evidence.journal
        if entry.event is Event.READY and entry.target in names
    }

    def polls_so(entry: Entry) -> Entry:
        if entry.event is not Event.READY or entry.target not in names or not journaled:
            return entry
        return entry.model_copy(update={"identities": (names[entry.target or ""],)})

    def told_again(workflow: Workflow) -> Workflow:
        runs = []
        for run in workflow.runs:
            history = History()
            history.events.extend(run.events)
            for event in history.events:
                if event.event_type in STARTED:
                    started = getattr(event, STARTED[event.event_type])
                    pid = started.identity.partition("@")[0]
                    started.identity = by_pid.get(pid, started.identity)
            runs.append(WorkflowHistory(workflow.workflow_id, list(history.events)))
        return replace(workflow, runs=runs)

    return replace(
        evidence,
        journal=[polls_so(entry) for entry in evidence.journal],
        workflows={name: told_again(each) for name, each in evidence.workflows.items()},
    )


CRASHED = ("worker-1", "worker-2", "worker-3")


@pytest.mark.parametrize(
    "names",
    [
        {"worker-1": "a", "worker-2": "b", "worker-3": "c"},
        dict.fromkeys(CRASHED, "the-shop"),
        # As of a child of a shell: the pid of none that the journal tells of.
        {"worker-1": "91@vm", "worker-2": "92@vm", "worker-3": "93@vm"},
    ],
)
def test_it_is_judged_as_if_they_had_the_sdks_own(
    worker_crash: Evidence, names: Mapping[str, str]
) -> None:
    renamed = _renamed(worker_crash, names)

    assert faults_met_work(all_kinds=True).examine(renamed).problems == ()
    assert recoveries(renamed) == recoveries(worker_crash)


def test_where_the_journal_knows_no_identity_it_may_be_anybodys(worker_crash: Evidence) -> None:
    unknown = _renamed(worker_crash, dict.fromkeys(CRASHED, "the-shop"), journaled=False)
    fault = unknown.first_entry(Event.FAULT, target="worker-1")
    assert fault

    victim = victim_of(unknown, fault)
    assert victim.may_be("the-shop")
    assert not victim.may_be(f"{unknown.journal[-1].pid}@vm")


def test_who_had_it_is_told_from_the_others(worker_crash: Evidence) -> None:
    renamed = _renamed(worker_crash, {"worker-1": "a", "worker-2": "b", "worker-3": "b"})
    first, second = (e for e in renamed.journal if e.event is Event.FAULT)

    assert victim_of(renamed, first).may_be("a")
    assert not victim_of(renamed, first).may_be("b")
    assert not victim_of(renamed, second).may_be("a")
    assert victim_of(renamed, second).is_surely("b")  # worker-3 came when worker-2 was gone


def test_the_kill_of_an_idle_one_shows_nothing_though_its_name_was_at_work(
    concurrency: Evidence,
) -> None:
    """The counter-example: another of that name had all the work, and ended it."""
    busy = next(e for e in concurrency.journal if e.target == "worker-1" and e.event is Event.READY)
    workflows = concurrency.workflows.values()
    began = min(a.started_at for w in workflows for a in w.activities if a.started_at)
    at = began + timedelta(seconds=0.001)
    idle = (
        Entry(at=busy.at, event=Event.READY, target="worker-2", pid=1),
        Entry(at=at, event=Event.FAULT, kind="kill", target="worker-2", pid=1),
        Entry(at=at, event=Event.SIGNALED, target="worker-2", pid=1, signal="SIGKILL"),
        Entry(at=at, event=Event.EXITED, target="worker-2", pid=1, exit_code=-9),
    )
    journal = sorted((*concurrency.journal, *idle), key=lambda entry: entry.at)
    evidence = replace(concurrency, journal=journal)

    named = _renamed(evidence, {"worker-1": "the-shop", "worker-2": "the-shop"})
    other = _renamed(evidence, {"worker-1": "the-shop", "worker-2": "the-other"})
    assert not met_work(named, idle[1])
    assert not met_work(other, idle[1])

    of_the_busy = idle[1].model_copy(update={"target": "worker-1", "pid": busy.pid})
    assert met_work(other, of_the_busy)


def test_queues_are_found_by_identities(retry_config: Evidence) -> None:
    renamed = _renamed(retry_config, {"worker-1": "good", "worker-2": "wrong-key"})
    refused = renamed.workflows["retry-refused"]

    assert queues(renamed) == queues(retry_config)
    assert not may_serve(queues(renamed), "worker-1", refused)
    unknown = _renamed(renamed, {}, journaled=False)
    unknown = replace(
        unknown,
        journal=[e.model_copy(update={"identities": ()}) for e in unknown.journal],
    )
    assert queues(unknown) == {}
    assert may_serve(queues(unknown), "worker-1", refused)
