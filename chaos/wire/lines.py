"""The lines of the process: the place where it is chosen who speaks what on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol as Shape

from chaos.network.proxy import HOST, PortError, listen
from chaos.wire.breakpoints import Breakpoints, Tell
from chaos.wire.control import LineSpec, Protocol, WireError
from chaos.wire.grpc_line import GrpcLine
from chaos.wire.grpc_work import Work
from chaos.wire.http_line import HttpLine
from chaos.wire.in_hand import InHand
from chaos.wire.journal import Closed, Opened, client_of
from chaos.wire.tracking import Tracker
from chaos.wire.writing import WireJournal, WireJournalError


class Line(Shape):
    """Listens and passes calls on, from `start` to `stop`. Both raise WireError."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Break off what is left, and free the port."""


class Lines:
    """Those that are open. `on_failure` gets the sentence with which the process has to end."""

    def __init__(
        self,
        journals: Path,
        breakpoints: Breakpoints,
        tell: Tell,
        on_failure: Callable[[str], None],
    ) -> None:
        self._journals = journals
        self._breakpoints = breakpoints
        self._tell = tell
        self._on_failure = on_failure
        self._in_hand = InHand()
        self._tracker = Tracker(self._in_hand)
        self._open: dict[str, tuple[Line, WireJournal]] = {}

    async def open(self, spec: LineSpec) -> None:
        """Listen for a worker. Raises WireError."""
        if spec.name in self._open:
            raise WireError(f"The line {spec.name} is open: close it, or give another name.")
        _check_free(spec.port)
        try:
            journal = WireJournal(self._journals, spec.name, self._on_failure)
        except WireJournalError as error:
            raise WireError(str(error)) from None
        try:
            line = self._made(spec, journal)
            await line.start()
        except BaseException:
            journal.close()
            raise
        self._open[spec.name] = line, journal
        listening = f"{HOST}:{spec.port}"
        upstream = spec.upstream.address
        journal.add(Opened(listen=listening, upstream=upstream, namespace=spec.namespace))

    async def close(self, name: str) -> None:
        """End a line. Raises WireError."""
        if name not in self._open:
            raise WireError(f"No line {name} is open.")
        line, journal = self._open.pop(name)
        await line.stop()
        journal.add(Closed())
        journal.close()

    async def close_all(self) -> None:
        """End all of them."""
        for name in tuple(self._open):
            await self.close(name)

    def _made(self, spec: LineSpec, journal: WireJournal) -> Line:
        if spec.protocol is Protocol.HTTP:
            worker = client_of(spec.name)
            return HttpLine(spec, self._breakpoints, journal, partial(self._in_hand.of, worker))
        work = Work(spec, self._breakpoints, journal, self._tracker, self._tell)
        return GrpcLine(spec, work)


def _check_free(port: int) -> None:
    """Refuse a port where another listens. Raises WireError."""
    try:
        listen(port).close()
    except PortError as error:
        raise WireError(str(error)) from None
