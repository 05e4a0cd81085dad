from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.exits import SEEN_SECONDS, no_unplanned_exit
from chaos.invariants.verdict import Verdict


def _until_ending(evidence: Evidence) -> list[Entry]:
    """A journal in which the taking down is announced."""
    journal = list(evidence.journal)
    first = len(journal)
    while journal[first - 1].event in {Event.EXITED, Event.STRAIN}:
        first -= 1
    return [*journal[:first], Entry(at=journal[first].at, event=Event.ENDING), *journal[first:]]


def _exit(evidence: Evidence, target: str) -> Entry:
    """That a process ends of itself, long before the end."""
    ready = evidence.first_entry(Event.READY, target=target)
    assert ready
    return Entry(at=ready.at, event=Event.EXITED, target=target, pid=ready.pid, exit_code=137)


def _early(evidence: Evidence, *entries: Entry) -> Evidence:
    at = next(n for n, e in enumerate(evidence.journal) if e.event is Event.WORKFLOW)
    journal = [*evidence.journal[:at], *entries, *evidence.journal[at:]]
    return replace(evidence, journal=journal)


@pytest.mark.parametrize(
    "name",
    [
        *("worker_crash", "retry_config", "server_restart", "each_role", "checkpoint"),
        *("concurrency", "control"),
    ],
)
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    evidence = request.getfixturevalue(name)

    assert no_unplanned_exit.examine(evidence).problems == ()
    announced = replace(evidence, journal=_until_ending(evidence))
    assert no_unplanned_exit.examine(announced).problems == ()


def test_a_process_that_ends_of_itself_fails(worker_crash: Evidence) -> None:
    broken = _early(worker_crash, _exit(worker_crash, "api"))

    finding = no_unplanned_exit.examine(broken)

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == ("api (pid 6514) ended by itself, code 137",)


def test_an_exit_before_the_announced_end_fails(worker_crash: Evidence) -> None:
    announced = _until_ending(worker_crash)
    last = announced[-1]
    early = [*announced[:-1]]
    early.insert(early.index(next(e for e in early if e.event is Event.ENDING)), last)

    assert no_unplanned_exit.examine(replace(worker_crash, journal=early)).problems


def test_a_signal_to_the_one_process_does_not_explain_the_end_of_the_other(
    worker_crash: Evidence,
) -> None:
    journal = [
        entry.model_copy(update={"pid": 1}) if entry.event is Event.EXITED else entry
        for entry in worker_crash.journal
    ]

    assert len(no_unplanned_exit.examine(replace(worker_crash, journal=journal)).problems) == 2


def test_a_signal_explains_nothing_of_a_later_process_with_its_number(
    worker_crash: Evidence,
) -> None:
    gone = _exit(worker_crash, "worker-1")
    signaled = Entry(
        at=gone.at, event=Event.SIGNALED, target="worker-1", pid=gone.pid, signal="SIGTERM"
    )
    again = Entry(at=gone.at, event=Event.STARTED, target="worker-1", pid=gone.pid)

    assert no_unplanned_exit.examine(_early(worker_crash, signaled, gone)).problems == ()
    assert no_unplanned_exit.examine(_early(worker_crash, signaled, gone, again, gone)).problems


@pytest.mark.parametrize("kind", ["out_of_memory", "crash_loop", "wrong_settings"])
@pytest.mark.parametrize("named", [True, False])
def test_a_fault_by_which_a_process_ends_of_itself_explains_it(
    kind: str, worker_crash: Evidence, *, named: bool
) -> None:
    gone = _exit(worker_crash, "worker-1")
    pid = gone.pid if named else None
    fault = Entry(at=gone.at, event=Event.FAULT, kind=kind, target="worker-1", pid=pid)
    another = fault.model_copy(update={"target": "worker-2"})
    harmless = fault.model_copy(update={"kind": "pause"})

    assert no_unplanned_exit.examine(_early(worker_crash, fault, gone)).problems == ()
    assert no_unplanned_exit.examine(_early(worker_crash, another, gone)).problems
    assert no_unplanned_exit.examine(_early(worker_crash, harmless, gone)).problems


def test_a_fault_that_is_healed_explains_no_later_exit(worker_crash: Evidence) -> None:
    gone = _exit(worker_crash, "worker-1")
    first = worker_crash.journal[0]
    fault = Entry(at=first.at, event=Event.FAULT, kind="out_of_memory", target="worker-1")

    def problems(healed_before: float) -> int:
        at = gone.at - timedelta(seconds=healed_before)
        healed = Entry(at=at, event=Event.HEALED, target="worker-1")
        return len(no_unplanned_exit.examine(_early(worker_crash, fault, healed, gone)).problems)

    assert problems(healed_before=SEEN_SECONDS - 0.1) == 0
    assert problems(healed_before=SEEN_SECONDS + 0.1) == 1
