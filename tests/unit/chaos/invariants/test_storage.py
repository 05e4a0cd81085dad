from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant
from chaos.invariants.storage import damage_is_noticed, database_was_damaged, disk_was_full
from chaos.invariants.verdict import Verdict
from tests.chaos.video.scenarios import disk_full
from tests.unit.kept import kept

WORKER = "worker-1"

FULL = disk_was_full(WORKER, disk_full.WAITS)
HIT = database_was_damaged("gone")
NOTICED = damage_is_noticed("gone", "lost")

Edit = Callable[[Entry], Entry | None]


@pytest.fixture
def full() -> Evidence:
    return kept("disk_full", "artifacts")


@pytest.fixture
def gone() -> Evidence:
    return kept("database_damage", "gone")


def _with(evidence: Evidence, edit: Edit) -> Evidence:
    edited = [edit(entry) for entry in evidence.journal]
    return replace(evidence, journal=[entry for entry in edited if entry])


def _without(evidence: Evidence, **wanted: object) -> Evidence:
    def drop(entry: Entry) -> Entry | None:
        found = all(getattr(entry, name) == value for name, value in wanted.items())
        return None if found else entry

    return _with(evidence, drop)


def test_real_evidence_of_a_full_disk_and_a_lost_database_is_sound(
    full: Evidence, gone: Evidence
) -> None:
    assert FULL.examine(full).problems == ()
    assert HIT.examine(gone).problems == ()
    assert NOTICED.examine(gone).problems == ()


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


def test_damage_that_a_server_serves_as_if_nothing_had_happened_is_no_pass(gone: Evidence) -> None:
    def served(entry: Entry) -> Entry:
        return entry.model_copy(update={"kind": "served"}) if entry.kind == "lost" else entry

    finding = NOTICED.examine(_with(gone, served))

    assert finding.verdict is Verdict.FAILED
    assert "shows as served, not lost" in finding.problems[0]
    assert NOTICED.examine(_without(gone, kind="lost", target="temporal.db")).problems
    assert NOTICED.examine(_without(gone, kind="damage")).problems


def _problem(check: Invariant, evidence: Evidence) -> str:
    return check.examine(evidence).problems[0]
