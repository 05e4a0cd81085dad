"""One request to a service and its reply, from the first byte to the last."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import h11

from chaos.wire.boundary import Crossing, Stage
from chaos.wire.http_gate import Gate, idempotency_key_of, subject_of
from chaos.wire.http_peer import (
    Peer,
    PeerLeftError,
    answer,
    for_client,
    for_service,
    read_early,
    send_if_open,
    why_refused,
)
from chaos.wire.journal import LEFT, QUEUED, REFUSED, Called
from chaos.wire.limits import Excess
from chaos.wire.specs import Breakage, Decision

_LAST_SECONDS = 5.0
"""How long a service may take what came before its client left."""


class Call:
    """Passes a request of a client on, or does what is decided at the gate."""

    def __init__(self, client: Peer, request: h11.Request, gate: Gate) -> None:
        self._client = client
        self._request = request
        self._gate = gate
        self._subject = subject_of(request)
        self._number = gate.number(self._subject)
        self._awaits_continue = client.http.they_are_waiting_for_100_continue
        self._crossings: list[Crossing] = []
        self._delay_seconds = 0.0
        self._excess: Excess | None = None
        self._notes: dict[str, Any] = {
            "at": _now(),
            "method": self._subject,
            "target_sha256": hashlib.sha256(request.target).hexdigest(),
            "idempotency_key": idempotency_key_of(request),
        }

    def record(self) -> Called:
        """As far as it came, now that it is over."""
        return Called(ended_at=_now(), crossings=tuple(self._crossings), **self._notes)

    async def run(self, connect: Callable[[], Awaitable[Peer]]) -> None:
        """Until the client has its reply, or is cut off. Raises PeerLeftError, and OSError or
        h11.RemoteProtocolError where the client breaks off.
        """
        if sentence := why_refused(self._request):
            await self._refuse(502, sentence)
            return
        decision = await self._decision(self._cross(Stage.LEAVING))
        upstream = None
        if decision == Decision.RESUME and (breakage := self._breakage()):
            self._delay_seconds = breakage.delay_seconds
            decision = Decision.RESUME if breakage.status is None else str(breakage.status)
        if decision == Decision.RESUME and (excess := self._gate.excess()):
            decision = await self._limited(excess)
        if decision == Decision.RESUME:
            try:
                upstream = await connect()
            except OSError:
                self._client.reset()  # the client was accepted already, so it cannot be refused
                return
            self._notes["forwarded_at"] = _now()
            await send_if_open(upstream, for_service(self._request))
        await self._both_ways(upstream, decision)

    async def _both_ways(self, upstream: Peer | None, decision: str) -> None:
        uploading = asyncio.create_task(self._upload(upstream))
        try:
            async with self._client.while_there():
                await (self._download(upstream) if upstream else self._enforce(decision))
                if not self._awaits_continue:
                    await uploading
        except PeerLeftError:
            # What has come in full the service gets, as it would without us, if it listens.
            async with asyncio.timeout(_LAST_SECONDS):
                await uploading
            raise
        finally:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)

    async def _limited(self, excess: Excess) -> str:
        """Refuse it, or wait until its turn at the service has come."""
        self._excess = excess
        self._notes["decision"] = REFUSED if excess.status else QUEUED
        if excess.status:
            return REFUSED
        async with self._client.while_there():
            await asyncio.sleep(excess.wait_seconds)  # the queue at the service, not a guess
        return Decision.RESUME

    def _cross(self, stage: Stage) -> Crossing:
        self._crossings.append(self._gate.crossing(self._subject, stage, self._number))
        return self._crossings[-1]

    def _breakage(self) -> Breakage | None:
        """How the service is broken for this call, which is on record with it."""
        found = self._gate.breakage(self._request.method.decode("ascii"))
        if found:
            self._notes["broken_by"] = found.name
        return found

    async def _decision(self, crossing: Crossing) -> str:
        if not self._gate.is_watched(crossing):
            return Decision.RESUME
        try:
            async with self._client.while_there():
                decision = await self._gate.decided(crossing, self._client.port)
        except PeerLeftError:
            self._notes["decision"] = LEFT
            raise
        if decision:
            self._notes["decision"] = decision
        return decision or Decision.RESUME

    async def _enforce(self, decision: str) -> None:
        if decision == Decision.DROP:
            self._client.reset()
        elif decision == Decision.SILENCE:
            await self._client.left.wait()
        elif decision == REFUSED and self._excess:
            sentence = "There are more requests than the service takes."
            headers = (("Retry-After", self._excess.retry_after),)
            await self._refuse(self._excess.status, sentence, headers)
        else:
            broken_by = self._notes.get("broken_by")
            whoever = f"The fault {broken_by}" if broken_by else "A breakpoint"
            await self._refuse(int(decision), f"{whoever} answers with {decision}.")

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
                await send_if_open(upstream, event)
        self._notes["body_sha256"] = digest.hexdigest()

    async def _download(self, upstream: Peer) -> None:
        """The reply, to the client; at a breakpoint what was decided."""
        try:
            while isinstance(event := await upstream.next(), h11.InformationalResponse):
                self._awaits_continue = self._awaits_continue and event.status_code != 100
                await self._client.send(for_client(event))
            self._notes["replied_at"] = _now()
            events = [event]
            crossing = self._cross(Stage.ANSWERED)
            if self._gate.is_watched(crossing) or self._delay_seconds:
                await read_early(upstream, events)
            if (decision := await self._decision(crossing)) != Decision.RESUME:
                upstream.close()
                await self._enforce(decision)
                return
            await asyncio.sleep(self._delay_seconds)  # given up where the client leaves
            await self._deliver(upstream, events)
        except h11.RemoteProtocolError as error:
            await self._broke_off(upstream, error)
        except OSError:
            self._client.reset()

    async def _deliver(self, upstream: Peer, events: list[h11.Event]) -> None:
        """What was read of the reply, and the rest as it comes."""
        for event in events:
            await self._client.send(for_client(event))
            if isinstance(event, h11.Response):
                self._notes["status"] = str(event.status_code)
        while not isinstance(events[-1], h11.EndOfMessage):
            events = [await upstream.next()]
            await self._client.send(events[-1])
        self._notes["delivered_at"] = _now()

    async def _broke_off(self, upstream: Peer, error: h11.RemoteProtocolError) -> None:
        """The service has ended the connection, or what it says is no HTTP."""
        if upstream.left.is_set() or "status" in self._notes:
            self._client.close()
        else:
            await self._refuse(502, f"The service's reply is not HTTP/1.1: {error}.")
        upstream.close()

    async def _refuse(
        self, status: int, sentence: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer in the service's place."""
        await answer(self._client, status, sentence, headers)
        self._notes |= {"status": str(status), "delivered_at": _now()}


def _now() -> datetime:
    return datetime.now(UTC)
