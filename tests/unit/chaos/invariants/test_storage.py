from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant
from chaos.invariants.storage import damage_is_noticed, database_was_damaged, disk_was_full
from chaos.invariants.verdict import Verdict
from tests.chaos.video.fake_api.ledger import Billed, Received, Record
from tests.chaos.video.invariants.storage import (
    nothing_is_asked_for_after_the_damage,
    nothing_is_asked_for_while_full,
    paid_between_backup_and_damage,
    paid_reply_waits_for_room,
)
from tests.chaos.video.scenarios import database_damage, disk_full

EVIDENCE = Path(__file__).parents[3] / "data" / "evidence"
PAID, REFUSED = "full-paid", "full-refused"
DAMAGED = "damage-at-once"
SCENE = f"the hero of {DAMAGED} waves"
WORKER = "worker-1"

FULL = disk_was_full(WORKER, disk_full.WAITS)
NOTHING_ASKED = nothing_is_asked_for_while_full(WORKER, REFUSED)
WAITED = paid_reply_waits_for_room(WORKER, PAID, f"a portrait of the hero of {PAID}")
HIT = database_was_damaged("gone", DAMAGED, SCENE)
NOTICED = damage_is_noticed("gone", "lost")
BETWEEN = paid_between_backup_and_damage(DAMAGED)
NOT_AGAIN = nothing_is_asked_for_after_the_damage(DAMAGED)

Edit = Callable[[Entry], Entry | None]


@pytest.fixture
def full() -> Evidence:
    return Evidence.load(EVIDENCE / "disk_full" / "artifacts")


@pytest.fixture
def gone() -> Evidence:
    return Evidence.load(EVIDENCE / "database_damage" / "gone")


def _with(evidence: Evidence, edit: Edit) -> Evidence:
    edited = [edit(entry) for entry in evidence.journal]
    return replace(evidence, journal=[entry for entry in edited if entry])


def _without(evidence: Evidence, **wanted: object) -> Evidence:
    def drop(entry: Entry) -> Entry | None:
        found = all(getattr(entry, name) == value for name, value in wanted.items())
        return None if found else entry

    return _with(evidence, drop)


def _ledger(evidence: Evidence, edit: Callable[[Record], Record]) -> Evidence:
    return replace(evidence, ledger=[edit(record) for record in evidence.ledger])


def test_real_evidence_of_full_disks_and_a_lost_database_is_sound(
    full: Evidence, gone: Evidence
) -> None:
    ledger = Evidence.load(EVIDENCE / "disk_full" / "ledger")
    kept = ((disk_full, 0, full), (disk_full, 1, ledger), (database_damage, 2, gone))
    for scenario, number, evidence in kept:
        case = scenario.SCENARIO.cases[number]
        for check in (*case.proofs, *case.invariants):
            assert check.examine(evidence).problems == ()


@pytest.mark.parametrize(
    "missing",
    [
        {"event": Event.FAULT, "kind": "disk_full"},
        {"text": f"the disk of {WORKER} has 0 bytes left"},
        {"event": Event.HEALED},
        {"kind": "said"},
    ],
    ids=str,
)
def test_a_disk_that_was_not_seen_to_be_full_is_unknown(
    missing: dict[str, object], full: Evidence
) -> None:
    assert FULL.examine(_without(full, **missing)).verdict is Verdict.UNKNOWN


def test_what_is_said_when_there_is_room_again_says_nothing(full: Evidence) -> None:
    def later(entry: Entry) -> Entry:
        hour = timedelta(hours=1 if entry.kind == "said" else 0)
        return entry.model_copy(update={"at": entry.at + hour})

    assert "did not say" in FULL.examine(_with(full, later)).problems[0]


def test_a_request_that_is_paid_for_on_a_full_disk_is_seen(full: Evidence) -> None:
    room = full.first_entry(Event.HEALED, target=WORKER)
    assert room

    def earlier(record: Record) -> Record:
        if isinstance(record, Received) and record.prompt and REFUSED in record.prompt:
            return record.model_copy(update={"at": room.at - timedelta(seconds=0.01)})
        return record

    finding = NOTHING_ASKED.examine(_ledger(full, earlier))

    assert finding.verdict is Verdict.FAILED
    assert "was asked for while the disk was full" in finding.problems[0]


def test_a_workflow_that_began_with_room_shows_nothing(full: Evidence) -> None:
    check = nothing_is_asked_for_while_full(WORKER, PAID)

    assert "was not started while the disk was full" in check.examine(full).problems[0]


def test_a_reply_on_record_before_the_disk_was_full_did_not_wait(full: Evidence) -> None:
    hour = timedelta(hours=1)
    calls = [
        call.model_copy(update={"settled_at": call.sent_at - hour}) for call in full.paid_calls
    ]
    again = [call.model_copy(update={"number": call.number + 1}) for call in full.paid_calls]

    assert "before the disk was full" in _problem(WAITED, replace(full, paid_calls=calls))
    assert "took 2 requests" in _problem(
        WAITED, replace(full, paid_calls=[*full.paid_calls, *again])
    )
    assert "took 0 requests" in _problem(WAITED, replace(full, paid_calls=[]))
    assert "was not paid for" in _problem(WAITED, replace(full, ledger=[]))


@pytest.mark.parametrize(
    "missing",
    [{"event": Event.FAULT, "kind": "gone"}, {"kind": "damage"}, {"event": Event.EXITED}],
    ids=str,
)
def test_damage_that_was_not_seen_is_unknown(missing: dict[str, object], gone: Evidence) -> None:
    assert HIT.examine(_without(gone, **missing)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "after", ["with sha256 abc before, 5 bytes with sha256 abc after", "no file before, no file"]
)
def test_a_file_that_did_not_change_was_not_damaged(after: str, gone: Evidence) -> None:
    def same(entry: Entry) -> Entry:
        return entry.model_copy(update={"text": after}) if entry.kind == "damage" else entry

    assert "did not change" in _problem(HIT, _with(gone, same))


def test_a_workflow_that_awaited_nothing_was_not_hit(gone: Evidence) -> None:
    assert "did not await" in _problem(HIT, replace(gone, ledger=[]))


def test_damage_that_a_server_serves_as_if_nothing_had_happened_is_no_pass(gone: Evidence) -> None:
    def served(entry: Entry) -> Entry:
        return entry.model_copy(update={"kind": "served"}) if entry.kind == "lost" else entry

    finding = NOTICED.examine(_with(gone, served))

    assert finding.verdict is Verdict.FAILED
    assert "shows as served, not lost" in finding.problems[0]
    assert NOTICED.examine(_without(gone, kind="lost", target="temporal.db")).problems
    assert NOTICED.examine(_without(gone, kind="damage")).problems


@pytest.mark.parametrize("missing", ["backup", "damage", "restore"])
def test_without_backup_damage_or_restoration_nothing_is_shown(
    missing: str, gone: Evidence
) -> None:
    assert BETWEEN.examine(_without(gone, kind=missing)).verdict is Verdict.UNKNOWN


def test_what_was_paid_for_before_the_backup_shows_nothing(gone: Evidence) -> None:
    def before(record: Record) -> Record:
        early = timedelta(hours=1 if isinstance(record, Billed) else 0)
        return record.model_copy(update={"at": record.at - early})

    assert "between the backup and the damage" in _problem(BETWEEN, _ledger(gone, before))


def test_steps_that_the_restored_server_does_not_come_to_show_nothing(gone: Evidence) -> None:
    def late(entry: Entry) -> Entry:
        hour = timedelta(hours=1 if entry.kind == "restore" else 0)
        return entry.model_copy(update={"at": entry.at + hour})

    assert "start_video was not come to again" in " ".join(
        BETWEEN.examine(_with(gone, late)).problems
    )


def test_a_paid_request_after_the_damage_is_seen(gone: Evidence) -> None:
    def late(record: Record) -> Record:
        hour = timedelta(hours=1 if isinstance(record, Received) else 0)
        return record.model_copy(update={"at": record.at + hour})

    finding = NOT_AGAIN.examine(_ledger(gone, late))

    assert finding.verdict is Verdict.FAILED
    assert len(finding.problems) == 2


def _problem(check: Invariant, evidence: Evidence) -> str:
    return check.examine(evidence).problems[0]
