"""What is said to a service and to its client: what the other said, but for what is of the hop."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

import h11

from chaos.wire.http_peer import Peer

EARLY_BYTES = 1 << 20
"""So much of a reply is read before it is held, or all that there is."""

_Headers = list[tuple[bytes, bytes]]
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def why_refused(request: h11.Request) -> str:
    """What the wire cannot pass on; empty where it can."""
    if request.method == b"CONNECT":
        return "The wire is no proxy for CONNECT: give its address in the place of the service's."
    protocol = dict(request.headers).get(b"upgrade", b"h2c").decode("ascii", "replace")
    if protocol.lower() != "h2c":
        return f"The wire passes no {protocol[:40]} on: let this client go to the service itself."
    return ""


def for_service(request: h11.Request) -> h11.Request:
    """The same in HTTP/1.1, and without a wish for HTTP/2, which anybody may ignore."""
    headers = _raw(request)
    if any(name.lower() == b"upgrade" for name, _ in headers):
        of_hop = {b"upgrade", b"http2-settings", b"connection"}
        headers = [each for each in headers if each[0].lower() not in of_hop]
    if request.http_version < b"1.1" and b"host" not in dict(request.headers):
        headers.append((b"Host", b"localhost"))
    return h11.Request(method=request.method, target=request.target, headers=headers)


def for_client(event: h11.Event) -> h11.Event:
    """The same in HTTP/1.1. What the client has to know of an older service is that it will end
    the connection.
    """
    if isinstance(event, h11.InformationalResponse):
        return h11.InformationalResponse(
            status_code=event.status_code, reason=event.reason, headers=_raw(event)
        )
    if isinstance(event, h11.Response):
        headers = _raw(event)
        if event.http_version < b"1.1":
            headers.append((b"Connection", b"close"))
        return h11.Response(status_code=event.status_code, reason=event.reason, headers=headers)
    return event


async def answer(client: Peer, status: int, sentence: str) -> None:
    """A reply of our own. Raises OSError."""
    content = f"{sentence}\n".encode()
    bodiless = status in _BODILESS
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))]
    reason = HTTPStatus(status).phrase
    await client.send(
        h11.Response(status_code=status, reason=reason, headers=[] if bodiless else headers)
    )
    if not bodiless and not client.asked_for_head:
        await client.send(h11.Data(data=content))
    await client.send(h11.EndOfMessage())


async def read_early(upstream: Peer, events: list[h11.Event]) -> None:
    """Read a reply on, which begins with these, to its end or as far as it may be kept."""
    size_bytes = 0
    while size_bytes < EARLY_BYTES and not isinstance(events[-1], h11.EndOfMessage):
        events.append(await upstream.next())
        if isinstance(events[-1], h11.Data):
            size_bytes += len(events[-1].data)


async def send_if_open(upstream: Peer, event: h11.Event) -> None:
    """Send it to a service; one that has answered already need not listen any more."""
    with suppress(OSError, h11.LocalProtocolError):
        await upstream.send(event)


def _raw(event: h11.Request | h11.Response | h11.InformationalResponse) -> _Headers:
    """As they were written; h11 gives names in small letters elsewhere."""
    return list(cast("Any", event.headers).raw_items())
