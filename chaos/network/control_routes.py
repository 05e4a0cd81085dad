"""The requests by which toxics are put on and taken off, and connections seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from chaos.network.proxy import PortError, Proxy
from chaos.network.toxics import ANY_TOXIC, AnyToxic

_DONE = {"ok": True}


class _RefusedError(Exception):
    """A request cannot be carried out; the message is one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ControlRoutes:
    """Answers one request after the other, each when its work is done, for every connection."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._shown: dict[str, Callable[[], dict[str, Any]]] = {
            "health": lambda: _DONE,
            "toxics": self._toxics,
            "connections": self._connections,
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """The status of a request, and what is sent back as JSON."""
        try:
            return 200, self._carry_out(method, path, body)
        except _RefusedError as error:
            return error.status, {"error": str(error)}
        except PortError as error:
            return 503, {"error": str(error)}

    def _carry_out(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        match method, path.split("/")[1:]:
            case "POST", ["toxics"]:
                return self._add(_read(body))
            case "PUT", ["toxics"]:
                return self._replace(_read(body))
            case "DELETE", ["toxics"]:
                return self._remove(*(toxic.known_as for toxic in self._proxy.toxics()))
            case "DELETE", ["toxics", name]:
                return self._remove(unquote(name))
            case "GET", [what] if what in self._shown:
                return self._shown[what]()
            case _:
                raise _RefusedError(404, f"There is no {method} {path}.")

    def _toxics(self) -> dict[str, Any]:
        return {"toxics": [toxic.model_dump(mode="json") for toxic in self._proxy.toxics()]}

    def _connections(self) -> dict[str, Any]:
        statuses = self._proxy.connections()
        return {"connections": [status.model_dump(mode="json") for status in statuses]}

    def _add(self, toxic: AnyToxic) -> dict[str, Any]:
        if self._is_on(toxic.known_as):
            raise _RefusedError(
                409, f"A toxic named {toxic.known_as} is on: name this one, or replace it."
            )
        return self._put_on(toxic)

    def _replace(self, toxic: AnyToxic) -> dict[str, Any]:
        if not self._is_on(toxic.known_as):
            raise _unknown(toxic.known_as)
        return self._put_on(toxic)

    def _remove(self, *names: str) -> dict[str, Any]:
        for name in names:
            if not self._proxy.take_off(name):
                raise _unknown(name)
        return _DONE

    def _is_on(self, name: str) -> bool:
        return any(toxic.known_as == name for toxic in self._proxy.toxics())

    def _put_on(self, toxic: AnyToxic) -> dict[str, Any]:
        there = self._proxy.put_on(toxic)
        return {"name": toxic.known_as, "connections": there}


def _read(body: bytes) -> AnyToxic:
    try:
        return ANY_TOXIC.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise _RefusedError(422, f"{field}: {message}" if field else message) from error


def _unknown(name: str) -> _RefusedError:
    return _RefusedError(404, f"No toxic named {name} is on.")
