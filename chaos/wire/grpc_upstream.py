"""The channel to what is behind a line of gRPC, and what is kept of a call's metadata."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

import grpc
import grpc.aio

from chaos.wire.control import Upstream, WireError

_NO_LIMITS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 16 << 20),
    ("grpc.absolute_max_metadata_size", 16 << 20),
)
LISTENING = (
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
    # A server that is back is found at once, as by a worker that connects anew.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5000),  # how long one connection may take
    ("grpc.max_reconnect_backoff_ms", 250),
    # As the SDKs do: the worker's own pings are answered here, and tell it nothing of its server.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.http2.max_pings_without_data", 0),
)

_OF_A_HOP = ("content-type", "te", "user-agent", "host")
_DETAILS = "grpc-status-details-bin"

Metadata = tuple[tuple[str, str | bytes], ...]


def channel(upstream: Upstream) -> grpc.aio.Channel:
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


def passed_on(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Without what belongs to one hop alone; the details of a status are the server's."""
    return tuple(
        (key, value)
        for key, value in metadata or ()
        if key == _DETAILS or not (key.startswith(("grpc-", ":")) or key in _OF_A_HOP)
    )


def _read(file: str) -> bytes | None:
    if not file:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise WireError(
            f"The file {file} cannot be read ({error.strerror}): name a PEM file."
        ) from None
