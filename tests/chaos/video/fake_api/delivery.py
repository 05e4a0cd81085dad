"""Sends a reply the way it is meant to leave: whole, cut, or not at all."""

import http

from starlette.types import Send

from tests.chaos.video.fake_api.connection import Connection
from tests.chaos.video.fake_api.replies import Delivery, Reply


async def deliver(reply: Reply, connection: Connection, send: Send) -> bool:
    """Send `reply`; whether the client was there when it left. A hang is over when it leaves."""
    await connection.notice()
    if reply.delivery is Delivery.HANG or not connection.connected():
        await connection.lost.wait()
        return False
    if reply.delivery is Delivery.WHOLE:
        return await _whole(reply, connection, send)
    if reply.delivery is Delivery.TRUNCATED:
        connection.write(_half(reply))
    connected = connection.connected()
    await (connection.close() if reply.delivery is Delivery.TRUNCATED else connection.reset())
    return connected


async def _whole(reply: Reply, connection: Connection, send: Send) -> bool:
    headers = [(name.encode(), value.encode()) for name, value in _headers(reply).items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    # Asked before the end is sent: a client may leave rightly once it has everything.
    connected = connection.connected()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return connected


def _half(reply: Reply) -> bytes:
    first = f"HTTP/1.1 {reply.status} {http.HTTPStatus(reply.status).phrase}"
    lines = [first, *(f"{name}: {value}" for name, value in _headers(reply).items())]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body[: len(reply.body) // 2]


def _headers(reply: Reply) -> dict[str, str]:
    own = {"content-type": reply.media_type, "content-length": str(len(reply.body))}
    return own | dict(reply.headers)
