"""What the wire is asked for: lines, breakpoints, and what is to become of a call."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from chaos.wire.boundary import Boundary, Crossing


class WireError(Exception):
    """The wire refuses a request or is gone; the message says why."""


class Protocol(StrEnum):
    """What is spoken on a line. On one of TCP nothing is understood, and toxics can be put on."""

    GRPC = "grpc"
    HTTP = "http"
    TCP = "tcp"


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

    With a `namespace`, each request to Temporal is sent on with it, whatever it names, and the
    reply has the name that the worker gave. On a line of TCP jitter is drawn by the `seed`.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    port: int = Field(gt=0, lt=65536)
    protocol: Protocol = Protocol.GRPC
    upstream: Upstream
    namespace: str = ""
    seed: int = 0


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


class Breakage(BaseModel):
    """How a service is broken for all workers on the wire, by a `name` of its own. Of its calls,
    those of these `methods` (none: of any), a `share` from above 0 to 1 is hit, the first of them
    for certain. With a `status` the worker gets that, and the service is not asked; else its answer
    comes `delay_seconds` later.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    service: str
    methods: tuple[str, ...] = ()
    share: float = Field(default=1.0, gt=0, le=1)
    status: int | None = Field(default=None, ge=400, le=599)
    delay_seconds: float = Field(default=0.0, ge=0, le=86_400)


class LimitSpec(BaseModel):
    """So many requests a second may pass to the server, or to a `service` by its name; `burst` at
    once after a rest. What is above that is refused: calls of the server as its own rate limit of
    a namespace does it, requests with the `status`. With a status of 0 they wait for their turn.
    """

    model_config = ConfigDict(frozen=True)

    service: str = ""
    per_second: float = Field(gt=0)
    burst: float = Field(ge=1)
    status: int = 429


class Passage(BaseModel):
    """A call that has come to a breakpoint and is held there; at `DELIVERED` the next report of the
    same attempt is what is held, when it comes. `peer` is the worker's own port, from which it has
    connected; 0 where that is not known.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    breakpoint: int
    line: str
    crossing: Crossing
    peer: int = 0


class Decision(StrEnum):
    """What becomes of a held call, beside a status: gRPC's by its name, HTTP's by its number.
    After the service has answered, that is a call that was carried out and then failed.

    `RESUME`: it goes on. `DROP`: before it was sent on, it never is, and afterwards its reply is
    lost; the worker's connection breaks at once (`UNAVAILABLE`; of HTTP, a reset). `SILENCE`: the
    same, but the worker hears nothing until its own deadline.
    """

    RESUME = "resume"
    DROP = "drop"
    SILENCE = "silence"
