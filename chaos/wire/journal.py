"""The fourth witness: what passed between a worker and its server or services, and when.

A file of JSON lines for each line of the wire, `wire/LINE.jsonl` in a case's folder. A payload is
never in it, and of a request to a service no more than hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from chaos.evidence.files import read_if_there
from chaos.network.journal import Record
from chaos.wire.boundary import Crossing

FOLDER = "wire"
"""Where a case's folder keeps them."""

LEFT = "left"
"""What is on record as decided where the worker was gone before that."""

REFUSED, QUEUED = "limit", "queued"
"""What is on record as decided of a call above a limit: it was refused, or had to wait."""


class Opened(Record):
    """The line listens. Addresses are `host:port`; `namespace` is what requests are sent on with,
    where that is not their own.
    """

    event: Literal["opened"] = "opened"
    listen: str
    upstream: str
    namespace: str = ""


class Polled(Record):
    """A worker has asked for its first task of a kind (`workflow` or `activity`) of a queue, over
    this connection, which comes from its port `peer`.
    """

    event: Literal["polled"] = "polled"
    queue: str
    kind: str
    identity: str
    peer: int = 0


class Called(Record):
    """A call is over. `method` is that of the API, or `POST /charges`. It came in `at`, was sent on
    `forwarded_at`, answered `replied_at` and handed to the worker `delivered_at`; what is None did
    not happen. `status` is what the worker got: the name of a gRPC status, or a number of HTTP's;
    empty if it got none. `decision` is what was decided about it at a breakpoint, or `limit` or
    `queued` where it was above a limit. Of a request to a service there are the hashes of its whole
    target and of its body (empty if not all of it came), its idempotency key, when the exchange was
    over (`ended_at`, also where the worker gave up), and the name of the breakage of that service
    that hit it (`broken_by`).
    """

    event: Literal["called"] = "called"
    method: str
    forwarded_at: datetime | None = None
    replied_at: datetime | None = None
    delivered_at: datetime | None = None
    ended_at: datetime | None = None
    status: str = ""
    crossings: tuple[Crossing, ...] = ()
    decision: str = ""
    broken_by: str = ""
    target_sha256: str = ""
    body_sha256: str = ""
    idempotency_key: str = ""


class Reached(Record):
    """A call, the `passage`, is held at a breakpoint; at `DELIVERED` the worker has what it was
    given, and its report will be held.
    """

    event: Literal["reached"] = "reached"
    breakpoint: int
    passage: int
    crossing: Crossing


class Decided(Record):
    """What became of a passage: `resume`, `drop`, `silence`, a status, or `left` where the worker
    was gone. At `DELIVERED`, all but `resume` becomes of the report, when that comes.
    """

    event: Literal["decided"] = "decided"
    passage: int
    decision: str


class Closed(Record):
    """The line ended in order. Without this record its process was killed, or still runs."""

    event: Literal["closed"] = "closed"


WireRecord = Annotated[
    Opened | Polled | Called | Reached | Decided | Closed, Field(discriminator="event")
]
RECORD: TypeAdapter[WireRecord] = TypeAdapter(WireRecord)

WireRecords = Mapping[str, Sequence[WireRecord]]
"""What each line has on record, by its name."""


def read_wire(case: Path) -> WireRecords:
    """What each line of a case has on record, by its name, such as `worker-1` (to the server) or
    `worker-1>payments`; an unfinished last line of a file is left out.
    """
    found = {}
    for file in sorted((case / FOLDER).glob("*.jsonl")):
        lines = (read_if_there(file) or b"").split(b"\n")[:-1]
        found[line_of(file)] = tuple(RECORD.validate_json(line) for line in lines)
    return found


def client_of(line: str) -> str:
    """Whose line it is, such as `worker-1`."""
    return line.partition(">")[0]


def service_of(line: str) -> str:
    """The service that a line leads to; empty of one to the server."""
    return line.partition(">")[2]


def line_of(file: Path) -> str:
    """The line whose records a file has."""
    return file.stem.replace("-to-", ">")
