"""One call with one reply, on its way from a worker to the server and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message

from chaos.wire import methods
from chaos.wire.boundary import Crossing
from chaos.wire.grpc_work import Work
from chaos.wire.journal import LEFT, REFUSED, Called
from chaos.wire.limits import TOLD, Limits, refusal_details
from chaos.wire.specs import Decision

Forward = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

_NAMESPACE_HEADER = "temporal-namespace"
_BROKEN = "The connection broke."


_OF_A_HOP = ("content-type", "te", "user-agent", "host")
_DETAILS = "grpc-status-details-bin"

Metadata = tuple[tuple[str, str | bytes], ...]


def passed_on(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Without what belongs to one hop alone; the details of a status are the server's."""
    return tuple(
        (key, value)
        for key, value in metadata or ()
        if key == _DETAILS or not (key.startswith(("grpc-", ":")) or key in _OF_A_HOP)
    )


def _now() -> datetime:
    return datetime.now(UTC)


class Call:
    """Passes it on, holds it where it is to be held, and writes it down when it is over."""

    def __init__(
        self, work: Work, limits: Limits, method: str, forward: Forward, context: Any
    ) -> None:
        self._work = work
        self._limits = limits
        self._method = method
        self._forward = forward
        self._context = context
        self._at = _now()
        self._forwarded_at: datetime | None = None
        self._replied_at: datetime | None = None
        self._delivered_at: datetime | None = None
        self._status = ""
        self._decision = ""
        self._crossings: tuple[Crossing, ...] = ()
        self._initial: Metadata = ()
        self._trailing: Metadata = ()

    async def answer(self, data: bytes) -> bytes:
        """The reply. A call that is cancelled has lost its worker."""
        with self._work.in_flight(self._context.peer()):
            try:
                return await self._answered(data)
            finally:
                self._work.journal.add(self._record())

    async def _answered(self, data: bytes) -> bytes:
        request = self._work.read(self._method, "Request", data)
        own = ""
        if request is not None and self._work.namespace:
            own = methods.rename_request(request, self._work.namespace)
            data = request.SerializeToString()
        self._work.called(self._context.peer(), self._method, request)
        sent = self._work.sent(self._method, request)
        await self._hold(sent)
        if not self._limits.admits(self._method.rpartition("/")[2]):
            self._decision = REFUSED
            details = ((_DETAILS, refusal_details()),)
            await self._refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, TOLD, details)
        reply = await self._forwarded(data)
        return await self._returned(request, sent, reply, own)

    async def _forwarded(self, data: bytes) -> bytes:
        """The server's reply, or its refusal handed on."""
        self._forwarded_at = _now()
        call = self._forward(
            data, timeout=self._context.time_remaining(), metadata=self._metadata()
        )
        try:
            reply: bytes = await call
        except grpc.aio.AioRpcError as error:
            self._replied_at = _now()
            trailing = passed_on(error.trailing_metadata())
            await self._refuse(error.code(), error.details() or "", trailing)
        self._replied_at = _now()
        self._initial = passed_on(await call.initial_metadata())
        self._trailing = passed_on(await call.trailing_metadata())
        return reply

    async def _returned(
        self, request: Message | None, sent: Sequence[Crossing], data: bytes, own: str
    ) -> bytes:
        """The reply, as the worker gets it."""
        reply = self._work.read(self._method, "Response", data)
        reported, assigned = self._work.answered(self._method, request, reply, sent)
        await self._hold((*reported, *assigned))
        if reply is not None and own and own != self._work.namespace:
            methods.rename(reply, self._work.namespace, own)
            data = reply.SerializeToString()
        if self._initial:
            await self._context.send_initial_metadata(self._initial)
        if self._trailing:
            self._context.set_trailing_metadata(self._trailing)
        if assigned:
            self._crossings += tuple(self._work.handing_over(request, assigned, self._context))
        self._status = grpc.StatusCode.OK.name
        self._delivered_at = _now()
        return data

    async def _hold(self, crossings: Sequence[Crossing]) -> None:
        """Go on when that is decided, or do not."""
        if not crossings:
            return
        self._crossings += tuple(crossings)
        try:
            decision = await self._work.at(crossings, self._context.peer())
        except asyncio.CancelledError:
            self._decision = LEFT
            raise
        self._decision = decision or self._decision
        match decision:
            case "" | Decision.RESUME:
                return
            case Decision.SILENCE:
                await asyncio.get_running_loop().create_future()  # until the worker gives up
            case Decision.DROP:
                await self._refuse(grpc.StatusCode.UNAVAILABLE, _BROKEN)
            case _:
                details = f"{decision} was decided at a breakpoint."
                await self._refuse(grpc.StatusCode[decision], details)

    async def _refuse(
        self, code: grpc.StatusCode, details: str, trailing: Metadata = ()
    ) -> NoReturn:
        self._status = code.name
        self._delivered_at = _now()
        await self._context.abort(code, details, trailing)
        raise AssertionError  # abort has raised

    def _metadata(self) -> Metadata:
        given = passed_on(self._context.invocation_metadata())
        if not self._work.namespace:
            return given
        return tuple(
            (key, self._work.namespace if key == _NAMESPACE_HEADER else value)
            for key, value in given
        )

    def _record(self) -> Called:
        return Called(
            at=self._at,
            method=self._method.rpartition("/")[2],
            forwarded_at=self._forwarded_at,
            replied_at=self._replied_at,
            delivered_at=self._delivered_at,
            status=self._status,
            crossings=self._crossings,
            decision=self._decision,
        )
