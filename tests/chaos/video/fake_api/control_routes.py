"""The routes by which a test plans faults, sets breakpoints and reads the bills."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.chaos.video.fake_api.breakpoints import BreakpointSpec
from tests.chaos.video.fake_api.provider import Provider
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.fake_api.settings import LatencyChange

LONGEST_WAIT_SECONDS = 2.0
"""How long an answer to `?settled` may take: less than a client waits for one."""

_Model = TypeVar("_Model", bound=BaseModel)
_Handler = Callable[[Request], Awaitable[Response]]


class _Refused(Exception):  # noqa: N818  # a turn in the control flow, answered with 422
    """The request's body cannot be taken; the message is one sentence."""


def control_routes(
    provider: Provider, read_records: Callable[[], Awaitable[Response]]
) -> list[Route]:
    """All `/control/...` routes. They need no key."""
    control = _Control(provider, read_records)

    def route(method: str, path: str, handler: _Handler) -> Route:
        return Route(f"/control{path}", _with_refusals(handler), methods=[method])

    return [
        route("GET", "/health", control.health),
        route("POST", "/rules", control.add_rule),
        route("GET", "/rules", control.list_rules),
        route("DELETE", "/rules", control.clear_rules),
        route("DELETE", "/rules/{id}", control.remove_rule),
        route("POST", "/breakpoints", control.set_breakpoint),
        route("DELETE", "/breakpoints", control.resume_all),
        route("GET", "/breakpoints/{id}", control.breakpoint_status),
        route("POST", "/breakpoints/{id}/resume", control.resume_breakpoint),
        route("PUT", "/latencies", control.change_latencies),
        route("GET", "/records", control.records),
    ]


class _Control:
    """One method a route."""

    def __init__(self, provider: Provider, read_records: Callable[[], Awaitable[Response]]) -> None:
        self._provider = provider
        self._read_records = read_records

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def add_rule(self, request: Request) -> Response:
        rule = await _read(request, FaultRule)
        return JSONResponse({"id": self._provider.rules.add(rule)})

    async def list_rules(self, _request: Request) -> Response:
        statuses = self._provider.rules.statuses()
        return JSONResponse({"rules": [status.model_dump(mode="json") for status in statuses]})

    async def clear_rules(self, _request: Request) -> Response:
        self._provider.rules.clear()
        return JSONResponse({"ok": True})

    async def remove_rule(self, request: Request) -> Response:
        found = self._provider.rules.remove(request.path_params["id"])
        return JSONResponse({"ok": True}) if found else _unknown("rule")

    async def set_breakpoint(self, request: Request) -> Response:
        wanted = await _read(request, BreakpointSpec)
        return JSONResponse(
            {"id": self._provider.breakpoints.set(wanted, self._provider.rendering())}
        )

    async def breakpoint_status(self, request: Request) -> Response:
        if "settled" in request.query_params:
            await self._provider.breakpoints.settle(request.path_params["id"], LONGEST_WAIT_SECONDS)
        status = self._provider.breakpoints.status(request.path_params["id"])
        return (
            _unknown("breakpoint")
            if status is None
            else JSONResponse(status.model_dump(mode="json"))
        )

    async def resume_breakpoint(self, request: Request) -> Response:
        found = self._provider.breakpoints.resume(request.path_params["id"])
        return JSONResponse({"ok": True}) if found else _unknown("breakpoint")

    async def resume_all(self, _request: Request) -> Response:
        self._provider.breakpoints.resume_all()
        return JSONResponse({"ok": True})

    async def change_latencies(self, request: Request) -> Response:
        change = await _read(request, LatencyChange)
        self._provider.latencies = change.apply(self._provider.latencies)
        return JSONResponse(self._provider.latencies.model_dump(mode="json"))

    async def records(self, _request: Request) -> Response:
        return await self._read_records()


def _with_refusals(handler: _Handler) -> _Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except _Refused as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=422)

    return handle


async def _read(request: Request, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise _Refused(f"{field}: {message}" if field else message) from error


def _unknown(what: str) -> Response:
    return JSONResponse({"error": f"There is no {what} of that id."}, status_code=404)
