"""A line of gRPC: a server that hands on whatever it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import grpc.aio

from chaos.network.proxy import HOST
from chaos.wire.control import LineSpec, WireError
from chaos.wire.grpc_call import Call, Forward
from chaos.wire.grpc_upstream import LISTENING, channel, passed_on
from chaos.wire.grpc_work import Work

_Streams = grpc.aio.StreamStreamMultiCallable[bytes, bytes]

_UNARY = "/temporal.api."
"""How the methods begin of which it is known that they take one message and give one. Any other is
passed on as streams, which such a call is as well.
"""


class GrpcLine(grpc.GenericRpcHandler):
    """Between a worker and its server, from `start` to `stop`."""

    def __init__(self, spec: LineSpec, work: Work) -> None:
        self._spec = spec
        self._work = work
        self._server: grpc.aio.Server
        self._channel: grpc.aio.Channel

    async def start(self) -> None:
        """Listen. Raises WireError."""
        self._channel = channel(self._spec.upstream)
        self._server = grpc.aio.server(handlers=(self,), options=LISTENING)
        try:
            self._server.add_insecure_port(f"{HOST}:{self._spec.port}")
        except RuntimeError:
            await self._channel.close()
            raise WireError(
                f"Port {self._spec.port} on {HOST} cannot be used: choose a free one."
            ) from None
        await self._server.start()

    async def stop(self) -> None:
        """Break off what is left, and free the port."""
        await self._server.stop(None)
        await self._channel.close()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Who answers a call."""
        method = details.method
        if method.startswith(_UNARY):
            forward: Forward = self._channel.unary_unary(method)

            async def one(request: bytes, context: Any) -> bytes:
                return await Call(self._work, method, forward, context).answer(request)

            return grpc.unary_unary_rpc_method_handler(one)
        return grpc.stream_stream_rpc_method_handler(partial(self._stream, method))

    async def _stream(
        self, method: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        """Both ways at once, as it comes; nothing of it is work, or on record."""
        forward: _Streams = self._channel.stream_stream(method)
        call = forward(
            requests,
            timeout=context.time_remaining(),
            metadata=passed_on(context.invocation_metadata()),
        )
        try:
            await context.send_initial_metadata(passed_on(await call.initial_metadata()))
            async for reply in call:
                yield reply
            code, details = await call.code(), await call.details() or ""
            trailing = passed_on(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            code, details = error.code(), error.details() or ""
            trailing = passed_on(error.trailing_metadata())
        finally:
            call.cancel()
        if code is not grpc.StatusCode.OK:
            await context.abort(code, details, trailing)
        context.set_trailing_metadata(trailing)
