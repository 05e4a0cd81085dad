"""The test's side of the control port: put toxics on, take them off, see connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import TypeAdapter

from chaos.network.connection import ConnectionStatus
from chaos.network.http_control import Control, ControlError
from chaos.network.toxics import AnyToxic

_TOXICS: TypeAdapter[tuple[AnyToxic, ...]] = TypeAdapter(tuple[AnyToxic, ...])
_CONNECTIONS: TypeAdapter[tuple[ConnectionStatus, ...]] = TypeAdapter(tuple[ConnectionStatus, ...])


class NetworkError(ControlError):
    """The proxy refused a control request; the message says why."""


@dataclass(frozen=True)
class Applied:
    """A toxic that is on: its name, and the connections that were there when it was put on."""

    name: str
    connections: tuple[int, ...]


class Network(Control):
    """Client of a running proxy's control port at `base_url`. Use it by `async with`, or close it.

    When a method returns, all connections have felt it. All raise NetworkError where the
    proxy refuses, httpx.TransportError where it is not there.
    """

    refusal: ClassVar[type[ControlError]] = NetworkError

    async def add(self, toxic: AnyToxic) -> Applied:
        """Put a toxic on."""
        return _applied(await self.send("POST", "/toxics", toxic.model_dump(mode="json")))

    async def replace(self, toxic: AnyToxic) -> Applied:
        """Put a toxic on in the place of the one of its name, as the last that data passes."""
        return _applied(await self.send("PUT", "/toxics", toxic.model_dump(mode="json")))

    async def remove(self, name: str) -> None:
        """Take one toxic off."""
        await self.send("DELETE", f"/toxics/{name}")

    async def clear(self) -> None:
        """Take all toxics off: the network is healthy again."""
        await self.send("DELETE", "/toxics")

    @asynccontextmanager
    async def applied(self, toxic: AnyToxic) -> AsyncIterator[Applied]:
        """A toxic that is on within the block, and taken off however the block ends.

        The block may take it off itself.
        """
        applied = await self.add(toxic)
        try:
            yield applied
        finally:
            if applied.name in {still_on.known_as for still_on in await self.toxics()}:
                await self.remove(applied.name)

    async def toxics(self) -> tuple[AnyToxic, ...]:
        """Those that are on, in the order in which data passes them."""
        answer = await self.send("GET", "/toxics")
        return _TOXICS.validate_python(answer["toxics"])

    async def connections(self) -> tuple[ConnectionStatus, ...]:
        """The established connections with their bytes so far."""
        answer = await self.send("GET", "/connections")
        return _CONNECTIONS.validate_python(answer["connections"])


def _applied(answer: Any) -> Applied:
    return Applied(str(answer["name"]), tuple(answer["connections"]))
