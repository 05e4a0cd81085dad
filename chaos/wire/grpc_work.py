"""What the calls of one line tell of its worker: which work it polls for, has, and reports."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from temporalio.api.enums.v1 import TaskQueueKind

from chaos.network.journal import RecordFile
from chaos.wire import methods
from chaos.wire.boundary import Crossing
from chaos.wire.breakpoints import Breakpoints, Delivery, Tell
from chaos.wire.journal import Polled
from chaos.wire.specs import LineSpec
from chaos.wire.tracking import ACTIVITY_POLL, TRACKED, WORKFLOW_POLL, Tracker

STATUSES = tuple(each.name for each in grpc.StatusCode if each is not grpc.StatusCode.OK)
"""What a call can be answered with."""

_POLLS = {WORKFLOW_POLL: "workflow", ACTIVITY_POLL: "activity"}
_MOST_POLLS = 10_000
_DELIVERED_SECONDS = 0.25
"""After which a worker that says nothing is taken to have what was sent to it: it is busy with it,
and what it says next may be that it is done.
"""


class Work:
    """Of one line. What the messages of a call are read for, it knows by their methods."""

    def __init__(
        self,
        spec: LineSpec,
        breakpoints: Breakpoints,
        journal: RecordFile,
        tracker: Tracker,
        tell: Tell,
    ) -> None:
        self.namespace = spec.namespace
        self.journal = journal
        self._line = spec.name
        self._upstream = spec.upstream.address
        self._breakpoints = breakpoints
        self._tracker = tracker
        self._tell = tell
        self._in_flight: Counter[str] = Counter()
        self._polled: OrderedDict[tuple[str, str, str, str], None] = OrderedDict()
        self._unproven: dict[str, list[Sequence[Delivery]]] = {}

    def read(self, method: str, part: str, data: bytes) -> Message | None:
        """A `Request` or a `Response`, where it is needed and can be read."""
        is_tracked = method.removeprefix(methods.SERVICE) in TRACKED
        if not (is_tracked or (self.namespace and methods.names_namespaces(method, part))):
            return None
        make = methods.message_class(method, part)
        if make is None:
            return None
        message = make()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return None
        return message

    def scope(self, request: Any) -> str:
        """The namespace of a server for which a request is."""
        return f"{self._upstream} {getattr(request, 'namespace', '')}"

    def sent(self, method: str, request: Message | None) -> Sequence[Crossing]:
        """What a request is at, before the server has it."""
        name = method.removeprefix(methods.SERVICE)
        if request is None or name not in TRACKED:
            return ()
        return self._tracker.sent(self.scope(request), name, request)

    def answered(
        self, method: str, request: Message | None, reply: Message | None, sent: Sequence[Crossing]
    ) -> tuple[Sequence[Crossing], Sequence[Crossing]]:
        """What a reply is at: what was reported, and what is given out."""
        name = method.removeprefix(methods.SERVICE)
        if request is None or reply is None or name not in TRACKED:
            return (), ()
        return self._tracker.answered(self.scope(request), name, reply, sent)

    async def at(self, crossings: Sequence[Crossing], peer: str) -> str:
        """What is decided about a call there; empty where it is not held."""
        return await self._breakpoints.at(self.journal, crossings, STATUSES, _port_of(peer))

    def handing_over(
        self, request: Message | None, assigned: Sequence[Crossing], context: Any
    ) -> Sequence[Crossing]:
        """What is given out goes to the worker. Where a breakpoint is, its report is held from now
        on, and the client hears that the worker has it when that is proven.
        """
        delivered = self._tracker.handed_over(self.scope(request), self._line, assigned)
        peer = context.peer()
        held = self._breakpoints.deliver(self.journal, delivered, STATUSES, _port_of(peer))
        if held:
            context.add_done_callback(lambda _: self._expect_proof(peer, held))
        return delivered

    @contextmanager
    def in_flight(self, peer: str) -> Iterator[None]:
        """A call of a connection is on its way, during the block."""
        self._in_flight[peer] += 1
        try:
            yield
        finally:
            self._in_flight[peer] -= 1
            if not self._in_flight[peer]:
                del self._in_flight[peer]

    def called(self, peer: str, method: str, request: Any) -> None:
        """A worker has called: it has what it was sent before, and may have polled."""
        for delivered in tuple(self._unproven.get(peer, ())):
            self._tell_delivered(peer, delivered)
        kind = _POLLS.get(method.removeprefix(methods.SERVICE))
        if kind is None or request is None:
            return
        queue = request.task_queue
        if queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY:
            return  # it is the worker's own, and it polls it beside the other
        key = peer, request.identity, queue.name, kind
        if key not in self._polled:
            self._tell_polled(key)

    def _tell_polled(self, key: tuple[str, str, str, str]) -> None:
        peer, identity, queue, kind = key
        is_known = any(known[0] == peer for known in self._polled)
        if not is_known and set(self._in_flight) == {peer}:
            # One that lives always waits for something: any worker before it is gone.
            self._tracker.left(self._line)
        self._polled[key] = None
        if len(self._polled) > _MOST_POLLS:
            self._polled.popitem(last=False)
        polled = Polled(queue=queue, kind=kind, identity=identity, peer=_port_of(peer))
        self.journal.add(polled)
        said = polled.model_dump(mode="json")
        self._tell({"event": "polled", "line": self._line, "polled": said})

    def _expect_proof(self, peer: str, delivered: Sequence[Delivery]) -> None:
        self._unproven.setdefault(peer, []).append(delivered)
        loop = asyncio.get_running_loop()
        loop.call_later(_DELIVERED_SECONDS, self._tell_delivered, peer, delivered)

    def _tell_delivered(self, peer: str, delivered: Sequence[Delivery]) -> None:
        waiting = self._unproven.get(peer, [])
        if delivered in waiting:
            waiting.remove(delivered)
            for each in delivered:
                self._breakpoints.tell_delivered(each)
        if not waiting:
            self._unproven.pop(peer, None)


def _port_of(peer: str) -> int:
    """The worker's own, of `ipv4:127.0.0.1:40312`."""
    number = peer.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0
