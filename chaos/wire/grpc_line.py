"""A line of gRPC: a server that hands on whatever it is asked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from chaos.network.proxy import HOST
from chaos.wire.grpc_call import Call, Forward, passed_on
from chaos.wire.grpc_work import Work
from chaos.wire.limits import Limits
from chaos.wire.specs import LineSpec, Upstream, WireError

_Streams = grpc.aio.StreamStreamMultiCallable[bytes, bytes]

_UNARY = "/temporal.api."
"""How the methods begin of which it is known that they take one message and give one. Any other is
passed on as streams, which such a call is as well.
"""


_NO_LIMITS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 << 20),
    ("grpc.absolute_max_metadata_size", 16 << 20),
)
_LISTENING = (
    *_NO_LIMITS,
    ("grpc.so_reuseport", 0),  # or a port where another listens would be shared with it
    # Workers send pings more often than a server of gRPC takes by default; Temporal's takes them.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)
"""Options of a line's server."""

_CALLING = (
    *_NO_LIMITS,
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),  # it is the worker that tries again
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # A server that is back is found at once, as by a worker that connects again.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5000),  # how long one connection may take
    ("grpc.max_reconnect_backoff_ms", 250),
    # As the SDKs do: the worker's own pings are answered here, and tell it nothing of its server.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class GrpcLine(grpc.GenericRpcHandler):
    """Between a worker and its server, from `start` to `stop`."""

    def __init__(self, spec: LineSpec, work: Work, limits: Limits) -> None:
        self._spec = spec
        self._work = work
        self._limits = limits
        self._server: grpc.aio.Server
        self._channel: grpc.aio.Channel

    async def start(self) -> None:
        """Listen. Raises WireError."""
        self._channel = _channel(self._spec.upstream)
        self._server = grpc.aio.server(handlers=(self,), options=_LISTENING)
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
        """What answers a call."""
        method = details.method
        if method.startswith(_UNARY):
            forward: Forward = self._channel.unary_unary(method)

            async def one(request: bytes, context: Any) -> bytes:
                return await Call(self._work, self._limits, method, forward, context).answer(
                    request
                )

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


def _channel(upstream: Upstream) -> grpc.aio.Channel:
    """To a server. Raises WireError where a file of TLS cannot be read."""
    if not upstream.tls:
        return grpc.aio.insecure_channel(upstream.address, _CALLING)
    own = upstream.server_name
    named = (("grpc.ssl_target_name_override", own),) if own else ()
    credentials = grpc.ssl_channel_credentials(
        _read(upstream.ca_file or ssl.get_default_verify_paths().cafile or ""),
        _read(upstream.key_file),
        _read(upstream.certificate_file),
    )
    return grpc.aio.secure_channel(upstream.address, credentials, (*_CALLING, *named))


def _read(file: str) -> bytes | None:
    if not file:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise WireError(
            f"The file {file} cannot be read ({error.strerror}): name a PEM file."
        ) from None
