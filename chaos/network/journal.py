"""What a TCP line did to which connection, when, and with how many bytes: a witness of its own.

A file of JSON lines, each written by one system call before the line goes on: what stands there
survives a SIGKILL of the process, though not a loss of power.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chaos.evidence.files import cut_unfinished_line, read_if_there
from chaos.network.behaviour import Stream
from chaos.network.toxics import AnyToxic, Toxic

FOLDER = "network"
"""Where a case's folder keeps them, a file for each link."""


class NetworkJournalError(Exception):
    """The journal cannot be written or read; the message says why and what to do."""


class Counts(BaseModel):
    """The bytes of one stream: `received` from its sender, `sent` on to its receiver, `dropped`
    by a toxic or with the connection, `held` here now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    received_bytes: int
    sent_bytes: int
    dropped_bytes: int
    held_bytes: int


def _now() -> datetime:
    return datetime.now(UTC)


class Record(BaseModel):
    """Of a moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime = Field(default_factory=_now)


class Started(Record):
    """The proxy listens. Addresses are `host:port`; jitter and sizes come from the seed."""

    event: Literal["started"] = "started"
    listen: str
    upstream: str
    seed: int
    pid: int


class Opened(Record):
    """A client has its connection to the server. `client` is its address, `via` the address by
    which the server knows it.
    """

    event: Literal["opened"] = "opened"
    connection: int
    client: str
    via: str


class Unreachable(Record):
    """A client came, and the server could not be reached for it: it got a reset."""

    event: Literal["unreachable"] = "unreachable"
    connection: int
    client: str
    reason: str


class RemovedToxic(Toxic):
    """One that older versions had: it is read in what they recorded, and cannot be put on."""

    model_config = ConfigDict(extra="allow")

    type: Literal["slicer", "slow_close", "timeout"]


class PutOn(Record):
    """A toxic is on from now, for these connections and, as it may be, for new ones."""

    event: Literal["put_on"] = "put_on"
    name: str
    toxic: AnyToxic | RemovedToxic
    connections: tuple[int, ...]


class TakenOff(Record):
    """A toxic is off. The effects that follow are what it did to the connections still there."""

    event: Literal["taken_off"] = "taken_off"
    name: str


class Hit(Record):
    """A toxic did something to a stream for the first time: the proof that it hit."""

    event: Literal["hit"] = "hit"
    name: str
    connection: int
    stream: Stream


class Effect(Record):
    """What a toxic that hit did to a stream in all: written when it is taken off or the
    connection ends. `delayed` bytes went on, but later; `held` ones were kept until now.
    """

    event: Literal["effect"] = "effect"
    name: str
    connection: int
    stream: Stream
    delayed_bytes: int
    held_bytes: int
    dropped_bytes: int


class Closed(Record):
    """A connection is gone from both sides.

    `because` is `client_closed` or `server_closed` (who closed first), `client_reset` or
    `server_reset`, `proxy_stopped`, or the name of a toxic.
    """

    event: Literal["closed"] = "closed"
    connection: int
    because: str
    upstream: Counts
    downstream: Counts


class Stopped(Record):
    """The line ended in order. Without this record its process was killed, or still runs."""

    event: Literal["stopped"] = "stopped"


NetworkRecord = Annotated[
    Started | Opened | Unreachable | PutOn | TakenOff | Hit | Effect | Closed | Stopped,
    Field(discriminator="event"),
]
_RECORD: TypeAdapter[NetworkRecord] = TypeAdapter(NetworkRecord)


class RecordFile:
    """Appends the records of a `line` to a file. If that fails later, `on_failure` gets the
    sentence with which the process has to end: a fault that leaves no record proves nothing.
    """

    def __init__(self, path: Path, line: str, on_failure: Callable[[str], None]) -> None:
        """Raises NetworkJournalError."""
        self.line = line
        self._path = path
        self._on_failure = on_failure
        self._is_closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cut_unfinished_line(path)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise NetworkJournalError(
                f"The journal {path} cannot be opened for writing ({error.strerror}): "
                "name a writable folder."
            ) from None

    def add(self, record: Record) -> None:
        """Write one record; the kernel has it when this returns. After `close` it is dropped: the
        line has ended, and another file may have its descriptor by then.
        """
        if self._is_closed:
            return
        rest = record.model_dump_json().encode() + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self._on_failure(
                f"The journal {self._path} cannot be written ({error.strerror}): make room for it "
                "and start again."
            )

    def close(self) -> None:
        """Give the file up."""
        self._is_closed = True
        os.close(self._descriptor)


def read_network_journal(path: Path) -> tuple[NetworkRecord, ...]:
    """All records of a file, in order; none where there is no file.

    An unfinished last line is left out: its writer was killed at it. Raises NetworkJournalError for
    any other damage.
    """
    records = []
    content = read_if_there(path) or b""
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            records.append(_RECORD.validate_json(line, strict=True))
        except ValidationError:
            raise NetworkJournalError(
                f"Line {number} of the journal {path} is damaged: keep the file as evidence."
            ) from None
    return tuple(records)


def read_links(case: Path) -> Mapping[str, Sequence[NetworkRecord]]:
    """What each TCP line of a case recorded, by its link, such as `worker-1>server`."""
    files = sorted((case / FOLDER).glob("*.jsonl"))
    return {_link_of(file): read_network_journal(file) for file in files}


def _link_of(journal: Path) -> str:
    client, _, upstream = journal.stem.rpartition("-to-")
    return f"{client}>{upstream}"


def file_name(line: str) -> str:
    """The file of a line's records: `worker-1-to-server.jsonl` of `worker-1>server`."""
    return f"{line.replace('>', '-to-')}.jsonl"
