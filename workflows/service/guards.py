"""What stands before the application: who may ask, how much, and what browsers are told."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflows.service.bodies import Bodies, drain
from workflows.service.errors import HEAD, Problem, answer

_OPEN_PATHS = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json"})
_OPEN_FOLDER = "/static/"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_MOST_PARAMETERS = 20

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
    bodies: Bodies = field(default_factory=Bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_headers(scope["path"], send)
        try:
            self._require_welcome(scope)
            _require_few_parameters(scope.get("query_string", b""))
            async with self.bodies.read(Headers(scope=scope), receive) as body:
                await self.app(_as_get(scope), _replayed(body, receive), send)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Problem as problem:
            await _refuse(problem, scope, receive, send)

    def _require_welcome(self, scope: Scope) -> None:
        """Raises Problem: 401, 403."""
        headers = Headers(scope=scope)
        if self.token is None:
            _require_own(scope["method"], headers)
        elif not (_is_open(scope["path"]) or _has_token(headers, self.token)):
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "a valid token is needed: send Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once. Where the connection is then closed, go on reading until that was seen."""
    response = answer(problem.status, [problem.sentence], problem.headers)
    if "Connection" not in response.headers or problem.status is HTTPStatus.REQUEST_TIMEOUT:
        await response(scope, receive, send)
        return

    async def send_then_drain(message: Message) -> None:
        is_body = message["type"] == "http.response.body"
        await send({**message, "more_body": True} if is_body else message)
        if is_body:
            await drain(receive)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    await response(scope, receive, send_then_drain)


def _require_few_parameters(query: bytes) -> None:
    """Raise Problem, 400, where a query has more than any needs: thousands are dear to read."""
    if query.count(b"&") >= _MOST_PARAMETERS:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"the query has more than {_MOST_PARAMETERS} parameters."
        )


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


def _require_own(method: str, headers: Headers) -> None:
    """Refuse, by Problem, 403, what a web page of somebody else makes the user's own browser send.

    A page can point its own name at 127.0.0.1 (DNS rebinding): then Host is that name. Or it
    posts here from where it is: then Origin is.
    """
    host = headers.get("host", "")
    name = _split(f"//{host}")
    if name is None or not is_loopback(name[0]):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "the Host header must be localhost or a loopback address; "
            "to serve another name, set SERVICE_TOKEN.",
        )
    origin = headers.get("origin")
    if method not in _SAFE_METHODS and origin is not None and not _same_place(origin, host):
        raise Problem(HTTPStatus.FORBIDDEN, "requests from a page of another origin are refused.")


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


def _as_get(scope: Scope) -> Scope:
    """A HEAD is answered as its GET is; the server leaves the body away."""
    return {**scope, "method": "GET", HEAD: True} if scope["method"] == "HEAD" else scope


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
