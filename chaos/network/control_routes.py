"""The routes by which toxics are put on and taken off, and connections seen."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chaos.network.proxy import PortError, Proxy
from chaos.network.toxics import ANY_TOXIC, AnyToxic


class _Refused(Exception):  # noqa: N818 - a turn in the control flow, answered with its status
    """A request cannot be carried out; the message is one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def make_app(proxy: Proxy) -> Starlette:
    """The control application. It needs no key: it is reachable from this machine only."""
    routes = _Routes(proxy)
    return Starlette(
        routes=[
            Route("/health", routes.health, methods=["GET"]),
            Route("/toxics", routes.toxics, methods=["GET"]),
            Route("/toxics", routes.add, methods=["POST"]),
            Route("/toxics", routes.replace, methods=["PUT"]),
            Route("/toxics", routes.clear, methods=["DELETE"]),
            Route("/toxics/{name}", routes.remove, methods=["DELETE"]),
            Route("/connections", routes.connections, methods=["GET"]),
        ],
        exception_handlers={_Refused: _explain, PortError: _explain},
    )


class _Routes:
    """One method a route. All of them answer after the work is done, for every connection."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def toxics(self, _request: Request) -> Response:
        toxics = [toxic.model_dump(mode="json") for toxic in self._proxy.toxics()]
        return JSONResponse({"toxics": toxics})

    async def add(self, request: Request) -> Response:
        toxic = await _read(request)
        if self._is_on(toxic.known_as):
            raise _Refused(
                409, f"A toxic named {toxic.known_as} is on: name this one, or replace it."
            )
        return self._put_on(toxic)

    async def replace(self, request: Request) -> Response:
        toxic = await _read(request)
        if not self._is_on(toxic.known_as):
            raise _unknown(toxic.known_as)
        return self._put_on(toxic)

    async def remove(self, request: Request) -> Response:
        name = str(request.path_params["name"])
        if not self._proxy.take_off(name):
            raise _unknown(name)
        return JSONResponse({"ok": True})

    async def clear(self, _request: Request) -> Response:
        for toxic in self._proxy.toxics():
            self._proxy.take_off(toxic.known_as)
        return JSONResponse({"ok": True})

    async def connections(self, _request: Request) -> Response:
        statuses = [status.model_dump(mode="json") for status in self._proxy.connections()]
        return JSONResponse({"connections": statuses})

    def _is_on(self, name: str) -> bool:
        return any(toxic.known_as == name for toxic in self._proxy.toxics())

    def _put_on(self, toxic: AnyToxic) -> Response:
        there = self._proxy.put_on(toxic)
        return JSONResponse({"name": toxic.known_as, "connections": there})


async def _read(request: Request) -> AnyToxic:
    try:
        return ANY_TOXIC.validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise _Refused(422, f"{field}: {message}" if field else message) from error


async def _explain(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, _Refused) else 503
    return JSONResponse({"error": str(error)}, status_code=status)


def _unknown(name: str) -> _Refused:
    return _Refused(404, f"No toxic named {name} is on.")
