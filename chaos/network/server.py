"""Runs the proxy and its control port until it is told to stop, or must."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from pathlib import Path

from chaos.network.control_routes import ControlRoutes
from chaos.network.control_server import ControlServer
from chaos.network.journal import NetworkJournal
from chaos.network.proxy import Proxy, Upstream


async def serve(
    port: int, upstream: Upstream, seed: int, journal_path: Path, control: socket.socket
) -> str | None:
    """Run until SIGTERM (None) or until the journal fails (a sentence that says so).

    Raises PortError and NetworkJournalError before anything has begun.
    """
    told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def stop(sentence: str | None) -> None:
        if not told.done():
            told.set_result(sentence)

    journal = NetworkJournal(journal_path)
    try:
        proxy = Proxy(port, upstream, seed, journal, stop)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop, None)
        proxy.start()
        await _serve_until(told, proxy, control)
    finally:
        journal.close()
    return told.result()


async def _serve_until(
    told: asyncio.Future[str | None], proxy: Proxy, control: socket.socket
) -> None:
    serving = asyncio.create_task(ControlServer(ControlRoutes(proxy).answer).serve(control))
    await asyncio.wait((told, serving), return_when=asyncio.FIRST_COMPLETED)
    if not told.done():
        told.set_result("The control port has failed: start the proxy again.")
    proxy.stop()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
