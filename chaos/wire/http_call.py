"""One request to a service and its reply, from the first byte to the last."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import h11

from chaos.wire.boundary import Crossing, Stage
from chaos.wire.control import Decision, Passage
from chaos.wire.http_names import idempotency_key_of, subject_of
from chaos.wire.http_peer import Peer, PeerLeftError
from chaos.wire.journal import Called

EARLY_BYTES = 1 << 20
"""A reply that is to be held is read so far before."""

LEFT = "left"
_BODILESS = (204, 304)


class CallGuard(Protocol):
    """What a line knows of a call that crosses a boundary, and who decides there."""

    def cross(self, stage: Stage) -> tuple[Crossing, Passage | None]:
        """The boundary, and a passage where the call has to be held."""

    def decided(self, passage: Passage) -> Awaitable[str]:
        """What is to become of it; cancelled where the client has left."""


class Call:
    """Passes one request on, or does what was decided. `connect` leads to the service."""

    def __init__(self, client: Peer, request: h11.Request, guard: CallGuard) -> None:
        self._client = client
        self._request = request
        self._guard = guard
        self._crossings: list[Crossing] = []
        self._notes: dict[str, Any] = {
            "at": _now(),
            "method": subject_of(request),
            "idempotency_key": idempotency_key_of(request),
        }
        self._awaits_continue = client.http.they_are_waiting_for_100_continue

    def record(self) -> Called:
        """As far as it came."""
        return Called(crossings=tuple(self._crossings), **self._notes)

    async def run(self, connect: Callable[[], Awaitable[Peer]]) -> None:
        """Until the client has its reply, or was cut off. Raises PeerLeftError, and OSError or
        h11.RemoteProtocolError where the client breaks off.
        """
        decision = await self._hold(self._cross(Stage.LEAVING))
        upstream = None
        if decision == Decision.RESUME:
            try:
                upstream = await connect()
            except OSError:
                self._client.reset()  # as near to "refused" as it gets for one who was accepted
                return
            self._notes["forwarded_at"] = _now()
            await _send_if_open(upstream, _for_service(self._request))
        uploading = asyncio.create_task(self._upload(upstream))
        try:
            async with self._client.while_there():
                await (self._download(upstream) if upstream else self._enforce(decision))
                if not self._awaits_continue:
                    await uploading
        except PeerLeftError:
            await uploading  # what has come in full the service gets, as it would without us
            raise
        finally:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)

    async def refuse(self, status: int, sentence: str) -> None:
        """Answer without asking anybody."""
        self._notes["status"] = str(status)
        await answer(self._client, status, sentence)

    def _cross(self, stage: Stage) -> Passage | None:
        crossing, passage = self._guard.cross(stage)
        self._crossings.append(crossing)
        return passage

    async def _hold(self, passage: Passage | None) -> str:
        if passage is None:
            return Decision.RESUME
        self._notes["decision"] = LEFT
        async with self._client.while_there():
            self._notes["decision"] = await self._guard.decided(passage)
        return str(self._notes["decision"])

    async def _enforce(self, decision: str) -> None:
        if decision == Decision.DROP:
            self._client.reset()
        elif decision == Decision.SILENCE:
            await self._client.left.wait()
        else:
            await self.refuse(int(decision), f"A breakpoint answers {decision}.")

    async def _upload(self, upstream: Peer | None) -> None:
        """The body, to the service or to nobody; its hash is noted if all of it has come."""
        digest = hashlib.sha256()
        event: h11.Event | None = None
        while not isinstance(event, h11.EndOfMessage):
            try:
                event = await self._client.next()
            except h11.RemoteProtocolError:
                self._client.reset()
                raise
            if isinstance(event, h11.Data):
                digest.update(event.data)
            if upstream:
                await _send_if_open(upstream, event)
        self._notes["body_sha256"] = digest.hexdigest()

    async def _download(self, upstream: Peer) -> None:
        """The reply, to the client; at a breakpoint what was decided."""
        try:
            while isinstance(event := await upstream.next(), h11.InformationalResponse):
                self._awaits_continue = self._awaits_continue and event.status_code != 100
                await self._client.send(_for_client(event))
            self._notes["replied_at"] = _now()
            early = [event]
            if passage := self._cross(Stage.ANSWERED):
                await _read_early(upstream, early)
                if (decision := await self._hold(passage)) != Decision.RESUME:
                    upstream.close()
                    await self._enforce(decision)
                    return
            await self._deliver(upstream, early)
        except h11.RemoteProtocolError as error:
            await self._broke_off(upstream, error)
        except OSError:
            self._client.reset()

    async def _deliver(self, upstream: Peer, events: list[h11.Event]) -> None:
        for event in events:
            if isinstance(event, h11.Response):
                self._notes["status"] = str(event.status_code)
                event = _for_client(event)
            await self._client.send(event)
        while not isinstance(event, h11.EndOfMessage):
            event = await upstream.next()
            await self._client.send(event)
        self._notes["delivered_at"] = _now()

    async def _broke_off(self, upstream: Peer, error: h11.RemoteProtocolError) -> None:
        """The service has ended the connection, or what it says is no HTTP."""
        upstream.close()
        if upstream.left.is_set() or "status" in self._notes:
            self._client.close()
        else:
            await self.refuse(502, f"The service's reply is not HTTP/1.1: {error}.")


async def answer(client: Peer, status: int, sentence: str) -> None:
    """Say it in the service's place. Raises OSError."""
    content = f"{sentence}\n".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))]
    bodiless = status in _BODILESS
    await client.send(
        h11.Response(
            status_code=status,
            reason=_REASONS.get(status, ""),
            headers=[] if bodiless else headers,
        )
    )
    if not bodiless and client.method != b"HEAD":
        await client.send(h11.Data(data=content))
    await client.send(h11.EndOfMessage())
