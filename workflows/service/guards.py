"""What stands before the application: who may ask, how much, and what browsers are told."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflows.service.errors import answer
from workflows.service.schemas import MAX_BODY_BYTES

BODY_SECONDS = 30.0
"""How long a body may take to arrive; a client that never ends it would hold a slot for good."""

_DRAINED_BYTES = 4 * MAX_BODY_BYTES
"""Of a body that is too large, read and thrown away so that its sender gets to see the answer."""

_OPEN_PATHS = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json"})
_OPEN_FOLDER = "/static/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_API_CSP = "default-src 'none'; frame-ancestors 'none'"
_PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style elements and attributes of its own; scripts stay to files of ours.
_DOCS_CSP = _PAGE_CSP.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True)
class Guards:
    """The application behind its guards. Without a `token` it must be reached by loopback only."""

    app: ASGIApp
    token: SecretStr | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_headers(scope["path"], send)
        refusal = self._refusal(scope)
        if refusal:
            await answer(refusal.status, [refusal.sentence], refusal.headers)(scope, receive, send)
            return
        body = await _body(Headers(scope=scope), receive)
        if isinstance(body, _Refusal):
            await answer(body.status, [body.sentence], body.headers)(scope, receive, send)
            return
        await self.app(scope, _replayed(body, receive), send)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers = Headers(scope=scope)
        if self.token is None:
            return _foreign(scope["method"], headers)
        if _is_open(scope["path"]) or _has_token(headers, self.token):
            return None
        return _Refusal(
            HTTPStatus.UNAUTHORIZED,
            "a valid token is needed: send Authorization: Bearer TOKEN.",
            {"WWW-Authenticate": "Bearer"},
        )


@dataclass(frozen=True)
class _Refusal:
    status: HTTPStatus
    sentence: str
    headers: Mapping[str, str] | None = None


def is_loopback(host: str) -> bool:
    """Whether a name or an address, such as of a Host header, is this machine's own."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_open(path: str) -> bool:
    """Whether a path tells nothing that needs a token. All others do, unknown ones too."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER)


def _has_token(headers: Headers, token: SecretStr) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    expected = token.get_secret_value().encode()
    # In constant time: how long a comparison takes must not tell how much of it was right.
    same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), expected)
    return same and scheme.lower() == "bearer"


def _foreign(method: str, headers: Headers) -> _Refusal | None:
    """Refuse what a web page of somebody else makes the user's own browser send.

    A page can point its own name at 127.0.0.1 (DNS rebinding): then Host is that name. Or it
    posts here from where it is: then Origin is.
    """
    host = headers.get("host", "")
    name = _split(f"//{host}")
    if name is None or not is_loopback(name[0]):
        return _Refusal(
            HTTPStatus.FORBIDDEN,
            "the Host header must be localhost or a loopback address; "
            "to serve another name, set SERVICE_TOKEN.",
        )
    origin = headers.get("origin")
    if method in _SAFE_METHODS or origin is None or _same_place(origin, host):
        return None
    return _Refusal(HTTPStatus.FORBIDDEN, "a page of another origin must not do this.")


def _same_place(origin: str, host: str) -> bool:
    scheme = origin.partition(":")[0].lower()
    return scheme in {"http", "https"} and _split(origin, scheme) == _split(f"//{host}", scheme)


def _split(address: str, scheme: str = "http") -> tuple[str, int] | None:
    """Host and port of `//host[:port]`; None where it is malformed."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}[scheme]
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


async def _body(headers: Headers, receive: Receive) -> bytes | _Refusal:
    """The whole body, whether its length was announced or it comes in chunks."""
    announced = headers.get("content-length", "")
    too_large = announced.isdecimal() and int(announced) > MAX_BODY_BYTES
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more and size <= _DRAINED_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
                too_large = too_large or size > MAX_BODY_BYTES
                if too_large:
                    chunks.clear()
                else:
                    chunks.append(message.get("body", b""))
    except TimeoutError:
        return _Refusal(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body did not arrive within {BODY_SECONDS:g} s.",
            {"Connection": "close"},
        )
    if too_large:
        return _Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {MAX_BODY_BYTES:,} bytes.",
            {"Connection": "close"},
        )
    return b"".join(chunks)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the application the body that was read, then whatever comes after it."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def _with_headers(path: str, send: Send) -> Send:
    """Adds what tells a browser to be careful."""
    csp = _PAGE_CSP if path == "/" else _DOCS_CSP if path == "/docs" else _API_CSP

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = csp
            # A page's files are asked for again after an upgrade; an answer is never kept.
            cache = "no-cache" if path.startswith(_OPEN_FOLDER) else "no-store"
            headers["Cache-Control"] = cache
        await send(message)

    return send_with_headers
