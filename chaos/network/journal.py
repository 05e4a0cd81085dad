"""The proxy's own witness: what it did to which connection, when, and with how many bytes.

A file of JSON lines, each written by one call of the system before the proxy goes on: what
stands there survives a SIGKILL of the proxy, though not a loss of power.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chaos.evidence.files import cut_unfinished_line, read_if_there
from chaos.network.toxics import AnyToxic, Stream

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


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime = Field(default_factory=_now)


class Started(_Record):
    """The proxy listens. Addresses are `host:port`; jitter and sizes come from the seed."""

    event: Literal["started"] = "started"
    listen: str
    upstream: str
    seed: int
    pid: int


class Opened(_Record):
    """A client has its connection to the server. `client` is its address, `via` the address by
    which the server knows it.
    """

    event: Literal["opened"] = "opened"
    connection: int
    client: str
    via: str


class Unreachable(_Record):
    """A client came, and the server could not be reached for it: it got a reset."""

    event: Literal["unreachable"] = "unreachable"
    connection: int
    client: str
    reason: str


class PutOn(_Record):
    """A toxic is on from now, for these connections and, as it may be, for new ones."""

    event: Literal["put_on"] = "put_on"
    name: str
    toxic: AnyToxic
    connections: tuple[int, ...]


class TakenOff(_Record):
    """A toxic is off. The effects that follow are what it did to the connections still there."""

    event: Literal["taken_off"] = "taken_off"
    name: str


class Hit(_Record):
    """A toxic did something to a stream for the first time: the proof that it hit."""

    event: Literal["hit"] = "hit"
    name: str
    connection: int
    stream: Stream


class Effect(_Record):
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


class Closed(_Record):
    """A connection is gone from both sides.

    `because` is `client_closed` or `server_closed` (who closed first), `client_reset` or
    `server_reset`, `proxy_stopped`, or the name of a toxic.
    """

    event: Literal["closed"] = "closed"
    connection: int
    because: str
    upstream: Counts
    downstream: Counts


class Stopped(_Record):
    """The proxy was told to end. Without this record it was killed, or is still there."""

    event: Literal["stopped"] = "stopped"


NetworkRecord = Annotated[
    Started | Opened | Unreachable | PutOn | TakenOff | Hit | Effect | Closed | Stopped,
    Field(discriminator="event"),
]
_RECORD: TypeAdapter[NetworkRecord] = TypeAdapter(NetworkRecord)


class NetworkJournal:
    """Appends to a journal's file. Raises NetworkJournalError where that is not possible."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            cut_unfinished_line(path)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise NetworkJournalError(
                f"The journal {path} cannot be opened for writing ({error.strerror}): "
                "name a file in a folder that exists and is writable."
            ) from None

    def add(self, record: NetworkRecord) -> None:
        """Write one record; it is the kernel's when this returns."""
        rest = _RECORD.dump_json(record) + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise NetworkJournalError(
                f"The journal {self._path} cannot be written ({error.strerror}): "
                "make room for it and start again."
            ) from None

    def close(self) -> None:
        """Give the file up."""
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
    """What each proxy of a case wrote down, by its link, such as `worker-1>server`."""
    files = sorted((case / FOLDER).glob("*.jsonl"))
    return {_link_of(file): read_network_journal(file) for file in files}


def _link_of(journal: Path) -> str:
    client, _, upstream = journal.stem.rpartition("-to-")
    return f"{client}>{upstream}"
