"""The provider's HTTP face: its routes, what it records around each request."""

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable, Iterator

from starlette.applications import Starlette
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.chaos.video.fake_api import replies
from tests.chaos.video.fake_api.api_request import (
    ApiRequest,
    download_request,
    image_request,
    poll_request,
    video_request,
)
from tests.chaos.video.fake_api.bills import Answered, BillsError, BillsWriter, now
from tests.chaos.video.fake_api.connection import Connection, connection_of
from tests.chaos.video.fake_api.control_routes import control_routes
from tests.chaos.video.fake_api.delivery import deliver
from tests.chaos.video.fake_api.provider import Provider
from tests.chaos.video.fake_api.replies import Delivery, Reply

_KEY_HEADER = "x-goog-api-key"
_ELSEWHERE = "/elsewhere"
"""Before the paths to which a redirect points."""

_Read = Callable[[Request, bool], Awaitable[ApiRequest]]


class Answers:
    """Knows when every reply that left is in the bills."""

    def __init__(self) -> None:
        self._open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """Around the sending of a reply and its record."""
        self._open += 1
        self._none_open.clear()
        try:
            yield
        finally:
            self._open -= 1
            if self._open == 0:
                self._none_open.set()

    async def recorded(self) -> None:
        """Return when no reply is between its sending and its record."""
        await self._none_open.wait()


class Desk:
    """What every route shares: the provider, its bills and the key.

    `stop` is called with a sentence when the bills fail: nothing may go on unrecorded.
    """

    def __init__(
        self, provider: Provider, bills: BillsWriter, key: str, stop: Callable[[str], None]
    ) -> None:
        self.provider = provider
        self.answers = Answers()
        self._bills = bills
        self._key = key.encode()
        self._stop = stop

    def key_valid(self, request: Request) -> bool:
        """Whether the request carries the key."""
        given = request.headers.get(_KEY_HEADER, "").encode("latin-1")
        return hmac.compare_digest(given, self._key)

    async def handle(self, api_request: ApiRequest, connection: Connection, send: Send) -> None:
        """Take a request all the way, from its receipt to the record of its answer."""
        try:
            await self._bills.append(api_request.received())
            reply = await self.provider.serve(api_request, connection.connected)
            if reply.delivery is Delivery.HANG:
                await connection.lost.wait()
            with self.answers.leaving():
                connected = await deliver(reply, connection, send)
                await self._bills.append(_answered(api_request, reply, connected=connected))
        except BillsError as error:
            failure = replies.error_reply(500, "Internal error.", kind="internal")
            with contextlib.suppress(RuntimeError):  # an answer may have left already
                await deliver(failure, connection, send)
            self._stop(str(error))


class _Endpoint:
    """The ASGI application of one route, at the provider's own host or where it redirects to."""

    def __init__(self, desk: Desk, read: _Read, *, redirected: bool) -> None:
        self._desk = desk
        self._read = read
        self._redirected = redirected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        connection = connection_of(scope)
        try:
            api_request = await self._read(request, self._desk.key_valid(request))
        except ClientDisconnect:
            return  # half a request is none
        place: dict[str, object] = {"elsewhere": _elsewhere(request.url)}
        if self._redirected:
            place = {"redirected": True, "key_given_away": _KEY_HEADER in request.headers}
        connection.watch()
        await self._desk.handle(api_request.model_copy(update=place), connection, send)


async def _read_image(request: Request, key_valid: bool) -> ApiRequest:
    return image_request(request.path_params["model"], await request.body(), key_valid=key_valid)


async def _read_video(request: Request, key_valid: bool) -> ApiRequest:
    return video_request(request.path_params["model"], await request.body(), key_valid=key_valid)


async def _read_poll(request: Request, key_valid: bool) -> ApiRequest:
    model, operation = request.path_params["model"], request.path_params["operation"]
    return poll_request(model, f"models/{model}/operations/{operation}", key_valid=key_valid)


async def _read_download(request: Request, key_valid: bool) -> ApiRequest:
    return download_request(request.path_params["file"], key_valid=key_valid)


def make_app(desk: Desk, read_records: Callable[[], Awaitable[Response]]) -> Starlette:
    """The application. `read_records` answers `GET /control/records`."""

    def route(prefix: str, method: str, path: str, read: _Read) -> Route:
        endpoint = _Endpoint(desk, read, redirected=prefix == _ELSEWHERE)
        return Route(f"{prefix}/v1beta{path}", endpoint, methods=[method])

    calls: tuple[tuple[str, str, _Read], ...] = (
        ("POST", "/models/{model}:generateContent", _read_image),
        ("POST", "/models/{model}:predictLongRunning", _read_video),
        ("GET", "/models/{model}/operations/{operation}", _read_poll),
        ("GET", "/files/{file}:download", _read_download),
    )
    return Starlette(
        routes=[
            *(route(prefix, *call) for prefix in ("", _ELSEWHERE) for call in calls),
            *control_routes(desk.provider, read_records),
        ],
        exception_handlers={HTTPException: _google_error},
    )


def _elsewhere(url: URL) -> str:
    """The same under another host name of this server, as if it were another host."""
    host = "127.0.0.1" if url.hostname == "localhost" else "localhost"
    return str(url.replace(hostname=host, path=f"{_ELSEWHERE}{url.path}"))


async def _google_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reply = replies.error_reply(status, "The requested URL was not found.", kind="not_found")
    return Response(reply.body, reply.status, media_type=reply.media_type)


def _answered(api_request: ApiRequest, reply: Reply, *, connected: bool) -> Answered:
    status_sent = reply.delivery not in {Delivery.HANG, Delivery.RESET}
    return Answered(
        at=now(),
        request_id=api_request.request_id,
        kind=reply.kind,
        status=reply.status if status_sent else None,
        client_connected=connected,
        sha256=reply.sha256,
    )
