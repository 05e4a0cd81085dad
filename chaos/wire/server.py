"""Runs the wire until its client or its parent is gone, it is told to stop, or it must."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from chaos.wire.control_server import ControlServer

_PARENT_INTERVAL_SECONDS = 1.0


async def serve(control: socket.socket, journals: Path) -> str | None:
    """Run until it ends in order (None) or has failed (a sentence that says how)."""
    told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def stop(sentence: str | None) -> None:
        if not told.done():
            told.set_result(sentence)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, None)
    server = ControlServer(journals, stop)
    watching = asyncio.create_task(_end_of_parent())
    watching.add_done_callback(lambda _: stop(None))
    try:
        await server.start(control)
        return await told
    finally:
        watching.cancel()
        await server.stop()


async def _end_of_parent() -> None:
    """A parent that was killed tells nobody, and before the client comes nothing else would."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel has no event for it
        await asyncio.sleep(_PARENT_INTERVAL_SECONDS)
