"""What lines have recorded is read back, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.network.journal import RecordFile, file_name
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

CROSSING = Crossing(boundary=Boundary.parse("activity pack completing"), workflow_id="w")
RECORDS: tuple[WireRecord, ...] = (
    Opened(listen="127.0.0.1:1", upstream="127.0.0.1:2", namespace="n"),
    Polled(queue="q", kind="activity", identity="1@host"),
    Reached(breakpoint=1, passage=2, crossing=CROSSING),
    Decided(passage=2, decision="drop"),
    Called(method="RespondActivityTaskCompleted", crossings=(CROSSING,), decision="drop"),
    Closed(),
)


@pytest.mark.parametrize("line", ["worker-1", "worker-1>payments"])
def test_records_are_read_as_they_were_written(tmp_path: Path, line: str) -> None:
    assert read_wire(tmp_path) == {}
    journal = RecordFile(tmp_path / FOLDER / file_name(line), line, on_failure=pytest.fail)
    for record in RECORDS:
        journal.add(record)
    journal.close()

    assert read_wire(tmp_path) == {line: RECORDS}
