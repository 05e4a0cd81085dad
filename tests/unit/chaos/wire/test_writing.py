"""The journal of a line: what is written can be read, also after the writer was killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import (
    FOLDER,
    Called,
    Closed,
    Decided,
    Opened,
    Polled,
    Reached,
    WireRecord,
    read_wire,
)
from chaos.wire.writing import WireJournal, WireJournalError

CROSSING = Crossing(boundary=Boundary.parse("activity pack completing"), workflow_id="w")
RECORDS: tuple[WireRecord, ...] = (
    Opened(listen="127.0.0.1:1", upstream="127.0.0.1:2", namespace="n"),
    Polled(queue="q", kind="activity", identity="1@host"),
    Reached(breakpoint=1, passage=2, crossing=CROSSING),
    Decided(passage=2, decision="drop"),
    Called(method="RespondActivityTaskCompleted", crossings=(CROSSING,), decision="drop"),
    Closed(),
)


def write(case: Path, line: str, *records: WireRecord) -> Path:
    journal = WireJournal(case / FOLDER, line, on_failure=pytest.fail)
    for record in records:
        journal.add(record)
    journal.close()
    return next((case / FOLDER).glob("*"))


@pytest.mark.parametrize("line", ["worker-1", "worker-1>payments"])
def test_records_are_read_as_they_were_written(tmp_path: Path, line: str) -> None:
    write(tmp_path, line, *RECORDS)
    assert read_wire(tmp_path) == {line: RECORDS}


def test_an_unfinished_record_is_left_out_and_written_over(tmp_path: Path) -> None:
    file = write(tmp_path, "worker-1", *RECORDS[:2])
    os.truncate(file, file.stat().st_size - 1)
    assert read_wire(tmp_path) == {"worker-1": RECORDS[:1]}
    write(tmp_path, "worker-1", *RECORDS[2:])
    assert read_wire(tmp_path) == {"worker-1": (RECORDS[0], *RECORDS[2:])}


def test_what_comes_after_the_end_is_lost(tmp_path: Path) -> None:
    journal = WireJournal(tmp_path / FOLDER, "worker-1", on_failure=pytest.fail)
    journal.close()
    with (tmp_path / "another").open("wb") as another:  # it may get the same number
        journal.add(Closed())
        another.flush()
    assert (tmp_path / "another").read_bytes() == b""
    assert read_wire(tmp_path) == {"worker-1": ()}


def test_where_no_wire_was_there_is_nothing(tmp_path: Path) -> None:
    assert read_wire(tmp_path) == {}


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file")
    with pytest.raises(WireJournalError, match="name a folder that is writable"):
        write(tmp_path, "worker-1")


def test_a_disk_that_is_full_ends_the_process(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "worker-1.jsonl").symlink_to("/dev/full")
    journal = WireJournal(tmp_path, "worker-1", said.append)
    journal.add(Closed())
    journal.close()
    assert len(said) == 1
    assert "cannot be written (No space left on device): make room" in said[0]
