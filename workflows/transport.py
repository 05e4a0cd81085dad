"""The HTTP client below Google's: what has left, what came back, and no hidden second request.

Only what is free follows redirects, and the key goes to no other host than the first.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

KEY_HEADER = "x-goog-api-key"

_CONNECT_SHARE = 0.75
"""Of a call's time, for the connection: httpcore closes one that takes longer. Where the whole call
is cancelled first, it leaves a socket open for as long as nobody shakes hands.
"""

MaySend = Callable[[], None]
"""Asked when a request is about to leave; raises where it must not."""


@dataclass
class Exchange:
    """What is known of one call while it is under way.

    `watched`: the connection tells of its steps, so that a request which has not `departed` was
    surely not sent. `response` is the newest one; its body may be unread or unreadable.
    """

    may_send: MaySend
    watched: bool = False
    departed: bool = False
    origin: tuple[str, str, int | None] | None = None
    response: httpx.Response | None = None

    @property
    def surely_unsent(self) -> bool:
        """Whether not a byte of the request left."""
        return self.watched and not self.departed and self.response is None


exchange: ContextVar[Exchange] = ContextVar("exchange")


class Http(httpx.AsyncClient):
    """One connection pool for all calls.

    Google's own would follow a 307 with a second POST and, where aiohttp is installed, send a
    request again after a reset.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(
            follow_redirects=False,
            event_hooks={"request": [_before], "response": [_after]},
            verify=context,
        )

    async def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """As httpx does it; a redirect is followed where nothing is paid for."""
        times = request.extensions["timeout"]
        if times["connect"]:
            connect_seconds = times["connect"] * _CONNECT_SHARE
            request.extensions["timeout"] = {**times, "connect": connect_seconds}
        return await super().send(request, **{**how, "follow_redirects": request.method == "GET"})


async def _before(request: httpx.Request) -> None:
    """Ask `MaySend` as late as can be: connected, with not a byte of the request sent."""
    now = exchange.get()
    origin = (request.url.scheme, request.url.host, request.url.port)
    now.origin = now.origin or origin
    if origin != now.origin:  # a redirect led here
        request.headers.pop(KEY_HEADER, None)
    now.response = None

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        now.watched = True
        if event.endswith("send_request_headers.started") and not _is_for_the_proxy(info):
            now.may_send()
            now.departed = True

    request.extensions["trace"] = trace


def _is_for_the_proxy(info: Mapping[str, Any]) -> bool:
    return getattr(info.get("request"), "method", None) == b"CONNECT"


async def _after(response: httpx.Response) -> None:
    exchange.get().response = response


def tls_context() -> ssl.SSLContext:
    """One for all clients: to make one takes as long as all else that a client is made of.

    Certificates that the environment names may be others at the next start.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return httpx.create_ssl_context()
    return usual_tls_context()


@cache
def usual_tls_context() -> ssl.SSLContext:
    """With the certificates that come with the client."""
    return httpx.create_ssl_context(trust_env=False)
