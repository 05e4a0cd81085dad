"""Sends a reply the way it is meant to leave: whole, cut, or not at all."""

import http

from starlette.types import Send

from chaos.fake_api.connection import Connection
from chaos.fake_api.replies import Delivery, Reply


async def deliver(reply: Reply, connection: Connection, send: Send) -> bool:
    """Send `reply`; whether the client was there when it left. A hang is over when it leaves."""
    await connection.notice()
    if reply.delivery is Delivery.HANG or not connection.connected():
        await connection.lost.wait()
        return False
    if reply.delivery is Delivery.WHOLE:
        return await _whole(reply, connection, send)
    if reply.delivery is not Delivery.RESET:
        connection.write(_half(reply))
    connected = connection.connected()
    if reply.delivery is Delivery.TRUNCATED:
        await connection.close()
    else:
        await connection.reset()
    return connected


async def _whole(reply: Reply, connection: Connection, send: Send) -> bool:
    headers = [
        (b"content-type", reply.media_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    # Asked before the end is sent: a client may leave rightly once it has everything.
    connected = connection.connected()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return connected


def _half(reply: Reply) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {http.HTTPStatus(reply.status).phrase}\r\n"
        f"content-type: {reply.media_type}\r\n"
        f"content-length: {len(reply.body)}\r\n\r\n"
    )
    return head.encode() + reply.body[: len(reply.body) // 2]
