"""Runs the application on a socket until it is told to stop, or must."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.responses import JSONResponse, Response

from tests.chaos.video.fake_api.app import Desk, make_app
from tests.chaos.video.fake_api.bills import BillsError, BillsWriter, Records, read_bills
from tests.chaos.video.fake_api.connection import TrackedProtocol
from tests.chaos.video.fake_api.provider import Provider
from tests.chaos.video.fake_api.settings import Setup
from tests.chaos.video.fake_api.state import Operations

_LAST_RECORDS_SECONDS = 1.0
# Never close an idle connection: a client would take it for a fault, and none was planned.
_KEEP_ALIVE_SECONDS = 24 * 3600


class _Server(uvicorn.Server):
    """uvicorn's server, which stops without waiting for requests that are held or hang."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut every connection."""
        # uvicorn would report each request cut here as an error, and all are meant.
        logging.getLogger("uvicorn.error").disabled = True
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM or SIGINT; unlike uvicorn, end with exit code 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Leave at the next turn of the main loop."""
        self.should_exit = True


class _Failure:
    """The sentence with which the process has to end, if any."""

    sentence: str | None = None


async def serve(
    setup: Setup, listener: socket.socket, bills: BillsWriter, records: Records
) -> str | None:
    """Serve until SIGTERM (None) or until the bills fail (a sentence that says so).

    `records` are those that they had when they were opened. Closes `bills` at the end.
    """
    failure = _Failure()

    def stop(sentence: str) -> None:
        failure.sentence = sentence
        server.stop()

    provider = Provider(bills, Operations.replay(records), setup.latencies, setup.prices)
    desk = Desk(provider, bills, setup.key.get_secret_value(), stop)

    async def read() -> Response:
        await desk.answers.recorded()
        try:
            known = await asyncio.to_thread(read_bills, setup.bills_path)
        except BillsError as error:
            return JSONResponse({"error": str(error)}, status_code=500)
        return JSONResponse({"records": [record.model_dump(mode="json") for record in known]})

    server = _Server(
        uvicorn.Config(
            make_app(desk, read),
            http=TrackedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
    )
    await server.serve(sockets=[listener])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_RECORDS_SECONDS):
            await desk.answers.recorded()
    await bills.close()
    return failure.sentence
