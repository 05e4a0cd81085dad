"""The journal's file: what is written can be read, also after the writer was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.network.journal import (
    Hit,
    NetworkJournalError,
    PutOn,
    RecordFile,
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
    journal = RecordFile(path, "worker-1>server", on_failure=pytest.fail)
    for record in RECORDS:
        journal.add(record)
    journal.close()


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path / "network.jsonl")
    assert read_network_journal(tmp_path / "network.jsonl") == RECORDS


def test_a_record_is_in_the_file_at_once_and_none_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "network.jsonl"
    journal = RecordFile(path, "worker-1>server", on_failure=pytest.fail)
    journal.add(RECORDS[0])
    assert read_network_journal(path) == RECORDS[:1]
    journal.close()
    with (tmp_path / "another").open("wb"):  # it may get the same descriptor
        journal.add(RECORDS[1])
    assert (tmp_path / "another").read_bytes() == b""
    assert read_network_journal(path) == RECORDS[:1]


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


def test_a_toxic_that_older_versions_had_is_read(tmp_path: Path) -> None:
    path = tmp_path / "network.jsonl"
    path.write_text(
        '{"at":"2026-01-02T03:04:05Z","event":"put_on","name":"slicer","connections":[1],'
        '"toxic":{"type":"slicer","name":"","stream":"both","average_size_bytes":10}}\n'
    )
    (record,) = read_network_journal(path)
    assert isinstance(record, PutOn)
    assert (record.toxic.type, record.connections) == ("slicer", (1,))


def test_any_other_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.jsonl"
    write(path)
    path.write_bytes(path.read_bytes().replace(b"started", b"stalled"))
    with pytest.raises(NetworkJournalError, match="Line 1 of the journal"):
        read_network_journal(path)


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NetworkJournalError, match="cannot be opened for writing"):
        write(tmp_path / "file" / "network.jsonl")


def test_a_full_disk_ends_the_process(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "network.jsonl").symlink_to("/dev/full")
    journal = RecordFile(tmp_path / "network.jsonl", "worker-1>server", said.append)
    journal.add(RECORDS[0])
    journal.close()
    (sentence,) = said
    assert "cannot be written (No space left on device): make room" in sentence


def test_each_links_journal_is_found_under_its_links_name(tmp_path: Path) -> None:
    assert read_links(tmp_path) == {}
    journals = tmp_path / "network"
    write(journals / "worker-1-to-server.jsonl")
    (journals / "fleet-1-to-api.jsonl").touch()

    found = read_links(tmp_path)

    assert list(found) == ["fleet-1>api", "worker-1>server"]
    assert found == {"fleet-1>api": (), "worker-1>server": RECORDS}
