from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.evidence.journal import Event
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Billed, Received, Record
from tests.chaos.video.scenarios import database_damage, disk_full
from tests.chaos.video.scenarios.database_damage import (
    awaited_before_the_damage,
    nothing_is_asked_for_after_the_damage,
    paid_between_backup_and_damage,
)
from tests.chaos.video.scenarios.disk_full import (
    nothing_is_asked_for_while_full,
    paid_reply_waits_for_room,
)
from tests.unit.kept import kept
from tests.unit.video.edits import HOUR, changed, entries, later, of, records, without

PAID, REFUSED = "full-paid", "full-refused"
DAMAGED = "damage-at-once"
SCENE = f"the hero of {DAMAGED} waves"
WORKER = "worker-1"

NOTHING_ASKED = nothing_is_asked_for_while_full(WORKER, REFUSED)
WAITED = paid_reply_waits_for_room(WORKER, PAID, f"a portrait of the hero of {PAID}")
AWAITED = awaited_before_the_damage("gone", DAMAGED, SCENE)
BETWEEN = paid_between_backup_and_damage(DAMAGED)
NOT_AGAIN = nothing_is_asked_for_after_the_damage(DAMAGED)


@pytest.fixture
def full() -> VideoEvidence:
    return kept("disk_full", "artifacts")


@pytest.fixture
def gone() -> VideoEvidence:
    return kept("database_damage", "gone")


def test_real_evidence_of_full_disks_and_a_lost_database_is_sound(
    full: VideoEvidence, gone: VideoEvidence
) -> None:
    journal_full = kept("disk_full", "ledger")
    recorded = ((disk_full, 0, full), (disk_full, 1, journal_full), (database_damage, 2, gone))
    for scenario, number, evidence in recorded:
        case = scenario.SCENARIO.cases[number]
        for check in (*case.proofs, *case.invariants):
            assert check.examine(evidence).problems == ()


def test_a_request_that_is_paid_for_on_a_full_disk_is_seen(full: VideoEvidence) -> None:
    room = full.first_entry(Event.HEALED, target=WORKER)
    assert room

    def is_refused(record: Record) -> bool:
        return isinstance(record, Received) and REFUSED in (record.prompt or "")

    finding = NOTHING_ASKED.examine(records(full, is_refused, at=room.at - timedelta(seconds=0.01)))

    assert finding.verdict is Verdict.FAILED
    assert "was asked for while the disk was full" in finding.problems[0]


def test_a_workflow_that_began_with_room_shows_nothing(full: VideoEvidence) -> None:
    check = nothing_is_asked_for_while_full(WORKER, PAID)

    assert "was not started while the disk was full" in check.examine(full).problems[0]


def test_a_reply_on_record_before_the_disk_was_full_did_not_wait(full: VideoEvidence) -> None:
    calls = [changed(call, settled_at=call.sent_at - HOUR) for call in full.paid_calls]
    again = [changed(call, number=call.number + 1) for call in full.paid_calls]

    assert "before the disk was full" in _problem(WAITED, replace(full, paid_calls=calls))
    assert "took 2 requests" in _problem(
        WAITED, replace(full, paid_calls=[*full.paid_calls, *again])
    )
    assert "took 0 requests" in _problem(WAITED, replace(full, paid_calls=[]))
    assert "was not paid for" in _problem(WAITED, replace(full, records=[]))


def test_a_workflow_that_awaited_nothing_was_not_hit(gone: VideoEvidence) -> None:
    assert "did not await" in _problem(AWAITED, replace(gone, records=[]))


def test_damage_that_was_not_done_hit_nobody(gone: VideoEvidence) -> None:
    assert AWAITED.examine(gone).problems == ()
    assert AWAITED.examine(without(gone, of(kind="damage"))).verdict is Verdict.UNKNOWN


def test_a_video_that_is_only_asked_about_after_the_damage_was_not_hit(gone: VideoEvidence) -> None:
    late = records(gone, of(Received), at=later(HOUR))

    assert AWAITED.examine(late).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("missing", ["backup", "damage", "restore"])
def test_without_backup_damage_or_restoration_nothing_is_shown(
    missing: str, gone: VideoEvidence
) -> None:
    assert BETWEEN.examine(without(gone, of(kind=missing))).verdict is Verdict.UNKNOWN


def test_what_was_paid_for_before_the_backup_shows_nothing(gone: VideoEvidence) -> None:
    before = records(gone, of(Billed), at=later(-HOUR))

    assert "between the backup and the damage" in _problem(BETWEEN, before)


def test_steps_that_the_restored_server_does_not_come_to_show_nothing(gone: VideoEvidence) -> None:
    late = entries(gone, of(kind="restore"), at=later(HOUR))

    assert "start_video was not come to again" in " ".join(BETWEEN.examine(late).problems)


def test_a_paid_request_after_the_damage_is_seen(gone: VideoEvidence) -> None:
    finding = NOT_AGAIN.examine(records(gone, of(Received), at=later(HOUR)))

    assert finding.verdict is Verdict.FAILED
    assert len(finding.problems) == 2


def _problem(check: Invariant, evidence: VideoEvidence) -> str:
    return check.examine(evidence).problems[0]
