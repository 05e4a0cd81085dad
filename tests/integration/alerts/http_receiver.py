"""A webhook on loopback that answers as it is told, and can go away and come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from chaos.process.ports import Port

PATH = "/services/hush-hush"


@dataclass(frozen=True)
class Answer:
    """What one request gets. `after`: not before this happens. No status: the line goes dead."""

    status: int | None = 200
    retry_after: str | None = None
    after: asyncio.Event | None = None


@dataclass
class HttpReceiver:
    """Requests get the answers of `plan` in turn, then `otherwise`.

    `asked` has the texts of all requests and `asked_at` their times in seconds; `accepted` the
    texts of those that were answered with 200, which is what a user would see.
    """

    plan: list[Answer] = field(default_factory=list)
    otherwise: Answer = field(default_factory=Answer)
    asked: list[str] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    port: Port = field(default_factory=Port)
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://{self.port.address}{PATH}"

    async def __aenter__(self) -> Self:
        await self.come()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.go()
        self.port.release()

    async def come(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._talk, "127.0.0.1", self.port.number, reuse_address=True
        )

    async def go(self) -> None:
        """Be down: connections are cut, new ones refused."""
        if self._server:
            self._server.close()
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)
            self._server = None

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk
        self._talks.add(talk)
        try:
            await self._serve(reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # we go, or they went
        finally:
            self._talks.discard(talk)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith(f"POST {PATH} HTTP/1.1\r\n"), head
        length = next(
            int(line.partition(":")[2])
            for line in head.splitlines()
            if line.lower().startswith("content-length:")
        )
        text = json.loads(await reader.readexactly(length))["text"]
        self.asked.append(text)
        self.asked_at.append(time.monotonic())
        answer = self.plan.pop(0) if self.plan else self.otherwise
        if answer.after:
            await answer.after.wait()
        if answer.status is None:
            writer.transport.abort()
            return
        wish = f"Retry-After: {answer.retry_after}\r\n" if answer.retry_after else ""
        writer.write(
            f"HTTP/1.1 {answer.status} Said\r\n{wish}"
            "Content-Length: 2\r\nConnection: close\r\n\r\nok".encode()
        )
        await writer.drain()
        if answer.status == 200:
            self.accepted.append(text)
