from __future__ import annotations

from pathlib import Path

import pytest

from chaos.evidence.journal import Entry, Event, Journal, read_entries_about, read_journal


def test_what_is_added_can_be_read_back_in_order(tmp_path: Path) -> None:
    told: list[Entry] = []
    journal = Journal(tmp_path / "deep" / "journal.jsonl", told.append)

    first = journal.add(Event.STARTED, target="worker-1", pid=7)
    second = journal.add(Event.STAGE, "the worker is ready")
    journal.close()

    assert read_journal(tmp_path / "deep" / "journal.jsonl") == (first, second)
    assert told == [first, second]
    assert first.at <= second.at


def test_an_exit_seen_after_the_end_is_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", print)
    journal.close()

    journal.add(Event.EXITED, target="worker-1", exit_code=-9)

    assert read_journal(tmp_path / "journal.jsonl") == ()


@pytest.mark.parametrize("own", ["order-1", 'a "quoted" order', "große Bestellung \n"])
def test_those_about_a_workflow_or_a_process_are_found_among_all(own: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    started = journal.add(Event.STARTED, target="worker-1", pid=7)
    journal.add(Event.STARTED, target="worker-2", pid=77)
    journal.add(Event.STRAIN, workflow_id=f"{own}-2")
    fault = journal.add(Event.FAULT, f"not of {own}", workflow_id=own, pid=8)
    journal.add(Event.STAGE, f"it says {own}")
    journal.close()

    assert read_entries_about(tmp_path / "journal.jsonl", own, 7) == (started, fault)
    assert read_entries_about(tmp_path / "journal.jsonl", own, None) == (fault,)
    assert read_entries_about(tmp_path / "none.jsonl", own, 7) == ()


def test_no_file_is_no_entries(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal.jsonl") == ()


def test_one_of_an_older_version_does_not_tell_what_a_process_took(tmp_path: Path) -> None:
    line = (
        '{"at":"2026-01-01T00:00:00Z","event":"exited","target":"worker-1","pid":7,"exit_code":-9}'
    )
    (tmp_path / "journal.jsonl").write_text(f"{line}\n")

    (entry,) = read_journal(tmp_path / "journal.jsonl")
    assert (entry.exit_code, entry.cpu_seconds) == (-9, None)
