"""The journal of the harness: what it did to what and when, and each process exit that it saw."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, field_validator

from chaos.evidence.files import read_if_there
from chaos.evidence.headroom import Strain
from chaos.evidence.text import writable


class Event(StrEnum):
    """The kind of a journal entry. `STRAIN`: how starved the machine was in the seconds before it.
    `ENDING`: from here on the harness itself stops the stack.
    """

    STAGE = "stage"
    STARTED = "started"
    READY = "ready"
    SIGNALED = "signaled"
    EXITED = "exited"
    FAULT = "fault"
    HEALED = "healed"
    PROGRESS = "progress"
    WORKFLOW = "workflow"
    TROUBLE = "trouble"
    STRAIN = "strain"
    ENDING = "ending"


class Entry(BaseModel):
    """One line of the journal.

    Attributes:
        at: when.
        event: its kind.
        text: for people.
        target: a process, link or service.
        pid: of the process.
        signal: that was sent, such as `SIGKILL`.
        exit_code: of a process that has ended.
        cpu_seconds: used by it and by the children that it waited for; None if unknown.
        kind: of the fault.
        workflow_id: a workflow.
        progress: a query's answer.
        strain: how starved the machine was.
        identities: under which a ready worker was seen to poll, if they differ from others'.
        version: of the target's builds, that of a ready worker, or that which is routed to.
        boundary: of the wire, where the fault hit a call.
        passage: the wire's number of that call.

    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    at: AwareDatetime
    event: Event
    text: str = ""
    target: str | None = None
    pid: int | None = None
    signal: str | None = None
    exit_code: int | None = None
    cpu_seconds: float | None = None
    kind: str | None = None
    workflow_id: str | None = None
    progress: dict[str, Any] | None = None
    strain: Strain | None = None
    identities: tuple[str, ...] = ()
    version: str | None = None
    boundary: str | None = None
    passage: int | None = None

    @field_validator("text")
    @classmethod
    def _can_be_written(cls, text: str) -> str:
        return writable(text)


class Journal:
    """An append-only file of entries. Threads may share it."""

    def __init__(self, path: Path, announce: Callable[[Entry], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._announce = announce

    def add(self, event: Event, text: str = "", **fields: Any) -> Entry:
        """Write an entry with the present time, and emit it."""
        entry = Entry(at=datetime.now(UTC), event=event, text=text, **fields)
        with self._lock:
            if not self._file.closed:
                self._file.write(entry.model_dump_json(exclude_defaults=True) + "\n")
                self._file.flush()
        self._announce(entry)
        return entry

    def close(self) -> None:
        """Close the journal; later entries are not written."""
        with self._lock:
            self._file.close()


_TEXT = TypeAdapter(str)
"""Writes a text as it is in an entry."""


def read_journal(path: Path) -> tuple[Entry, ...]:
    """All entries of a file; none where there is no file."""
    return _entries(_lines(path))


def read_entries_about(path: Path, workflow_id: str, pid: int | None) -> tuple[Entry, ...]:
    """Those about a workflow or a process. What else is there is not parsed: a stack that serves
    for days has a long journal.
    """
    marks = [_TEXT.dump_json(workflow_id), *([b'"pid":%d' % pid] if pid else [])]
    about = [line for line in _lines(path) if any(mark in line for mark in marks)]
    return tuple(
        entry
        for entry in _entries(about)
        if entry.workflow_id == workflow_id or (pid and entry.pid == pid)
    )


def _lines(path: Path) -> list[bytes]:
    return (read_if_there(path) or b"").split(b"\n")


def _entries(lines: Sequence[bytes]) -> tuple[Entry, ...]:
    return tuple(Entry.model_validate_json(line, strict=True) for line in lines if line)
