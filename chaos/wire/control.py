"""The client of a wire: it opens lines, sets breakpoints, and decides about the calls held there.

Requests and replies are JSON lines on one TCP connection, and what happens is told unasked:

    {"id": 1, "do": "open", "line": {…}}              {"id": 1}
    {"id": 2, "do": "set", "breakpoint": {…}}         {"id": 2}
    {"id": 3, "do": "remove", "breakpoint": 1}        {"id": 3}
    {"id": 4, "do": "decide", "passage": 7,
     "decision": "drop"}                              {"id": 4} or {"id": 4, "error": "…"}
    {"id": 5, "do": "close", "line": "worker-1"}      {"id": 5}
                                                      {"event": "reached", "breakpoint": 1, …}
                                                      {"event": "polled", "line": "worker-1", …}

When the connection ends, the process ends.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from chaos.wire.boundary import Boundary, Crossing


class WireError(Exception):
    """The wire refuses a request or is gone; the message says why."""


class Protocol(StrEnum):
    """What is spoken on a line."""

    GRPC = "grpc"
    HTTP = "http"


class Upstream(BaseModel):
    """Where a line leads: `host:port`. The files of TLS are PEM; `tls` alone trusts what this
    machine trusts.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    server_name: str = ""


class LineSpec(BaseModel):
    """A line: its name, the `port` of this machine where it listens, what is behind it.

    Where `namespace` is given, each request to Temporal is sent on with it, whatever it names, and
    what comes back has the name that the worker gave.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    port: int = Field(gt=0, lt=65536)
    protocol: Protocol = Protocol.GRPC
    upstream: Upstream
    namespace: str = ""


class BreakpointSpec(BaseModel):
    """Where calls are to be held: at a boundary, of one workflow and one line if they are named,
    `times` times. The `workflow_id` is that on the server. `worker-1` stands for its lines to
    services as well. An `attempt` of 0 is any.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    boundary: Boundary
    workflow_id: str = ""
    line: str = ""
    attempt: int = 0
    times: int = 1


class Passage(BaseModel):
    """A call that has come to a breakpoint and is held there, but for `DELIVERED`."""

    model_config = ConfigDict(frozen=True)

    number: int
    breakpoint: int
    line: str
    crossing: Crossing


class Decision(StrEnum):
    """What becomes of a held call, beside a status of gRPC's by its name.

    `RESUME`: it goes on. `DROP`: before it was sent on, it never is, and afterwards its reply is
    lost; the worker is told at once that the connection broke (`UNAVAILABLE`; of HTTP, a reset).
    `SILENCE`: the same, and the worker is told nothing until its own deadline.
    """

    RESUME = "resume"
    DROP = "drop"
    SILENCE = "silence"
