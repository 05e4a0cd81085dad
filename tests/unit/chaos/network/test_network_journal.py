"""The journal's file: what is written can be read, also after the writer was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.network.journal import (
    Hit,
    NetworkJournal,
    NetworkJournalError,
    PutOn,
    Started,
    read_links,
    read_network_journal,
)
from chaos.network.toxics import Latency, Stream

RECORDS = (
    Started(listen="127.0.0.1:1", upstream="127.0.0.1:2", seed=7, pid=3),
    PutOn(
        name="latency",
        toxic=Latency(stream=Stream.BOTH, latency_seconds=0.5),
        connections=(1, 2),
    ),
    Hit(name="latency", connection=1, stream=Stream.UPSTREAM),
)


def write(path: Path) -> None:
    journal = NetworkJournal(path)
    for record in RECORDS:
        journal.add(record)
    journal.close()


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path / "network.jsonl")
    assert read_network_journal(tmp_path / "network.jsonl") == RECORDS


def test_a_record_is_in_the_file_before_the_journal_is_closed(tmp_path: Path) -> None:
    journal = NetworkJournal(tmp_path / "network.jsonl")
    journal.add(RECORDS[0])
    assert read_network_journal(tmp_path / "network.jsonl") == RECORDS[:1]
    journal.close()


def test_another_start_goes_on_behind_the_first(tmp_path: Path) -> None:
    write(tmp_path / "network.jsonl")
    write(tmp_path / "network.jsonl")
    assert read_network_journal(tmp_path / "network.jsonl") == RECORDS * 2


def test_no_file_is_no_record(tmp_path: Path) -> None:
    assert read_network_journal(tmp_path / "network.jsonl") == ()


def test_an_unfinished_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "network.jsonl"
    write(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert read_network_journal(path) == RECORDS[:-1]


def test_another_start_does_not_write_behind_an_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "network.jsonl"
    write(path)
    path.write_bytes(path.read_bytes()[:-10])
    write(path)
    assert read_network_journal(path) == RECORDS[:-1] + RECORDS


def test_any_other_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.jsonl"
    write(path)
    path.write_bytes(path.read_bytes().replace(b"started", b"stalled"))
    with pytest.raises(NetworkJournalError, match="Line 1 of the journal"):
        read_network_journal(path)


def test_a_folder_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(NetworkJournalError, match="cannot be opened for writing"):
        NetworkJournal(tmp_path / "none" / "network.jsonl")


def test_a_full_disk_is_explained() -> None:
    journal = NetworkJournal(Path("/dev/full"))
    with pytest.raises(NetworkJournalError, match="make room"):
        journal.add(RECORDS[0])
    journal.close()


def test_each_links_journal_is_found_under_its_links_name(tmp_path: Path) -> None:
    assert read_links(tmp_path) == {}
    journals = tmp_path / "network"
    journals.mkdir()
    write(journals / "worker-1-to-server.jsonl")
    (journals / "fleet-1-to-api.jsonl").touch()

    found = read_links(tmp_path)

    assert list(found) == ["fleet-1>api", "worker-1>server"]
    assert found == {"fleet-1>api": (), "worker-1>server": RECORDS}
