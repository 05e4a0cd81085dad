from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.environment.memory import KERNEL
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant
from chaos.invariants.proofs import (
    died_of,
    killed_while_open,
    ran_out_of_memory,
    was_down,
    was_paused,
)
from chaos.invariants.verdict import Verdict
from tests.unit.kept import kept

IMAGE_OPEN = killed_while_open(["worker-1"], "crash-single", "generate_character")
VIDEO_OPEN = killed_while_open(["worker-2"], "crash-single", "await_video")


SERVER = "temporal-server"

AT = datetime(2026, 1, 1, tzinfo=UTC)

TARGET = "fleet-1-worker"

PROOF = ran_out_of_memory(TARGET)

FAULT = Entry(at=AT, event=Event.FAULT, kind="out_of_memory", target=TARGET)

TOLD = Entry(
    at=AT + timedelta(seconds=2), event=Event.STAGE, kind=KERNEL, target=TARGET, pid=7, text="told"
)

GONE = Entry(at=AT + timedelta(seconds=1), event=Event.EXITED, target=TARGET, pid=7)


def _without(evidence: Evidence, drop: Callable[[Entry], bool]) -> Evidence:
    return replace(evidence, journal=[entry for entry in evidence.journal if not drop(entry)])


def _signal(worker: Entry, name: str, after_seconds: float) -> Entry:
    return Entry(
        at=worker.at + timedelta(seconds=after_seconds),
        event=Event.SIGNALED,
        target=worker.target,
        pid=worker.pid,
        signal=name,
    )


@pytest.fixture
def worker(concurrency: Evidence) -> Entry:
    """That the only worker is ready."""
    ready = concurrency.first_entry(Event.READY, target="worker-1")
    assert ready
    return ready


def _after(worker: Entry, evidence: Evidence, *entries: Entry) -> Evidence:
    at = list(evidence.journal).index(worker) + 1
    return replace(evidence, journal=[*evidence.journal[:at], *entries, *evidence.journal[at:]])


def test_a_pause_is_proven_by_its_signals_to_one_living_process(
    concurrency: Evidence, worker: Entry
) -> None:
    stop, cont = _signal(worker, "SIGSTOP", 0.001), _signal(worker, "SIGCONT", 0.051)
    paused = _after(worker, concurrency, stop, cont)

    assert was_paused("worker-1", 0.05).examine(paused).problems == ()


def test_a_pause_that_is_too_short_or_never_ends_or_of_another_is_unknown(
    concurrency: Evidence, worker: Entry
) -> None:
    stop, cont = _signal(worker, "SIGSTOP", 0.001), _signal(worker, "SIGCONT", 0.051)
    dead = Entry(at=stop.at, event=Event.EXITED, target="worker-1", pid=worker.pid, exit_code=-9)
    gone = dead.model_copy(update={"at": stop.at + timedelta(seconds=0.01)})
    another = cont.model_copy(update={"pid": 1})
    check = was_paused("worker-1", 0.05)

    assert check.examine(concurrency).problems == ("worker-1 was not paused",)
    for broken in (
        _after(worker, concurrency, stop),
        _after(worker, concurrency, stop, another),
        _after(worker, concurrency, stop, gone, cont),
        _after(worker, concurrency, stop, _signal(worker, "SIGCONT", 0.04)),
    ):
        assert check.examine(broken).verdict is Verdict.UNKNOWN


def test_of_several_pauses_one_has_to_be_long_enough(concurrency: Evidence, worker: Entry) -> None:
    signals = [
        _signal(worker, name, after)
        for name, after in (
            *(("SIGSTOP", 0.001), ("SIGCONT", 0.002)),
            *(("SIGSTOP", 0.003), ("SIGCONT", 0.063)),
        )
    ]

    paused = _after(worker, concurrency, *signals)

    assert was_paused("worker-1", 0.05).examine(paused).problems == ()
    assert was_paused("worker-1", 0.061).examine(paused).problems


def test_a_death_is_proven_by_its_exit_code(worker_crash: Evidence) -> None:
    assert died_of("worker-1", -9).examine(worker_crash).problems == ()
    for check in (died_of("worker-1", 1), died_of("worker-3", -9), died_of("api", -9)):
        assert check.examine(worker_crash).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("missing", [Event.FAULT, Event.EXITED])
def test_a_death_that_was_not_seen_is_unknown(missing: Event, worker_crash: Evidence) -> None:
    unseen = _without(worker_crash, lambda entry: entry.event is missing)

    assert died_of("worker-1", -9).examine(unseen).problems


def test_who_was_to_die_of_itself_must_not_have_been_killed_by_the_suite(
    worker_crash: Evidence,
) -> None:
    journal = [
        entry.model_copy(update={"kind": "out_of_memory"}) if entry.kind == "kill" else entry
        for entry in worker_crash.journal
    ]
    killed = replace(worker_crash, journal=journal)
    starved = _without(killed, lambda entry: entry.event is Event.SIGNALED)

    assert died_of("worker-1", -9).examine(starved).problems == ()
    assert "did not end by itself" in died_of("worker-1", -9).examine(killed).problems[0]


@pytest.mark.parametrize("check", [IMAGE_OPEN, VIDEO_OPEN], ids=lambda check: check.name)
def test_a_kill_with_an_activity_in_hand_is_proven_by_history(
    check: Invariant, worker_crash: Evidence
) -> None:
    assert check.examine(worker_crash).problems == ()
    activities_gone = replace(worker_crash.workflows["crash-single"])
    activities_gone.__dict__["activities"] = ()  # the cached property
    forgotten = replace(worker_crash, workflows={"crash-single": activities_gone})
    assert check.examine(forgotten).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("missing", [Event.SIGNALED, Event.EXITED])
def test_a_kill_that_was_not_seen_is_unknown(missing: Event, worker_crash: Evidence) -> None:
    unseen = _without(worker_crash, lambda entry: entry.event is missing)

    assert IMAGE_OPEN.examine(unseen).problems == ("worker-1 was not seen to die of SIGKILL",)


def test_another_activity_than_the_one_in_hand_is_unknown(worker_crash: Evidence) -> None:
    check = killed_while_open(["worker-1"], "crash-single", "download_video")

    assert check.examine(worker_crash).verdict is Verdict.UNKNOWN


def test_two_workers_must_have_been_gone_while_the_activity_was_open(
    worker_crash: Evidence,
) -> None:
    """They were killed one after the other, each with another activity in flight."""
    both = killed_while_open(["worker-1", "worker-2"], "crash-single", "generate_character")

    assert both.examine(worker_crash).problems == (
        "crash-single had no generate_character in flight when worker-1, worker-2 were killed",
    )


def test_two_workers_that_die_together_are_proven(worker_crash: Evidence) -> None:
    kill = worker_crash.first_entry(Event.SIGNALED, target="worker-1")
    assert kill
    other = [
        Entry(at=kill.at, event=Event.SIGNALED, target="worker-9", pid=9, signal="SIGKILL"),
        Entry(
            at=kill.at + timedelta(seconds=0.02),
            event=Event.EXITED,
            target="worker-9",
            pid=9,
            exit_code=-9,
        ),
    ]
    again = Entry(
        at=kill.at + timedelta(seconds=0.015), event=Event.STARTED, target="worker-1", pid=10
    )
    both = killed_while_open(["worker-1", "worker-9"], "crash-single", "generate_character")
    together = _after(kill, worker_crash, *other)
    in_turn = _after(kill, together, again)

    assert both.examine(together).problems == ()
    assert "not down at the same time" in both.examine(in_turn).problems[0]


@pytest.fixture
def evidence() -> Evidence:
    return kept("server_pause", "twice_in_a_row")


def test_real_evidence_proves_that_it_was_down(evidence: Evidence) -> None:
    finding = was_down(SERVER, evidence.specs[0].workflow_id).examine(evidence)

    assert finding.problems == ()


def test_a_process_that_did_not_die_was_not_down(evidence: Evidence) -> None:
    journal = [entry for entry in evidence.journal if entry.event is not Event.EXITED]
    changed = replace(evidence, journal=journal)
    finding = was_down(SERVER, evidence.specs[0].workflow_id).examine(changed)

    assert (finding.verdict, finding.problems) == (
        Verdict.UNKNOWN,
        (f"{SERVER} was not seen to die of SIGKILL",),
    )


def test_one_that_stays_away_is_unknown(evidence: Evidence) -> None:
    kills = [entry.at for entry in evidence.journal if entry.event is Event.EXITED]
    journal = [e for e in evidence.journal if e.event is not Event.READY or e.at < kills[0]]
    changed = replace(evidence, journal=journal)

    assert was_down(SERVER, evidence.specs[0].workflow_id).examine(changed).problems == (
        f"{SERVER} did not restart",
    )


def test_a_workflow_that_had_ended_by_then_shows_nothing(evidence: Evidence) -> None:
    day = timedelta(days=1)
    journal = [entry.model_copy(update={"at": entry.at + day}) for entry in evidence.journal]
    changed = replace(evidence, journal=journal)
    name = evidence.specs[0].workflow_id

    assert was_down(SERVER, name).examine(changed).problems == (
        f"{name} was not open while {SERVER} was down",
    )


def test_an_unknown_workflow_shows_nothing(evidence: Evidence) -> None:
    assert was_down(SERVER, "nobody").examine(evidence).verdict is Verdict.UNKNOWN


def _evidence(*journal: Entry) -> Evidence:
    return Evidence(Path("nowhere"), (), {}, journal, ())


def test_a_memory_limit_that_took_effect_is_proven() -> None:
    assert PROOF.examine(_evidence(FAULT, GONE, TOLD)).problems == ()


def test_each_missing_part_makes_it_unknown() -> None:
    assert PROOF.examine(_evidence(GONE, TOLD)).problems == (
        f"the memory of {TARGET} was not limited",
    )
    assert PROOF.examine(_evidence(FAULT, GONE)).problems == (
        f"no OOM killer says that it ended {TARGET}",
    )
    finding = PROOF.examine(replace(_evidence(FAULT, TOLD)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "was not seen to end" in finding.problems[0]
