"""The service's process: `python -m workflows.service`. SIGTERM and Ctrl-C end it with 0."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import logging
import re
import resource
import signal
import socket
from collections.abc import Iterator
from typing import NoReturn

import uvicorn

from workflows.connection import connect_lazily, require_namespace
from workflows.entry import complain, leave, load_dotenv_file, repair_streams, set_up_logging
from workflows.service.app import create_app
from workflows.service.operations import Operations
from workflows.service.protocol import MAX_CONNECTIONS, Protocol
from workflows.service.settings import MAX_PORT, ServiceSettings, load_settings
from workflows.settings import SettingsError

logger = logging.getLogger("workflows.service")

STOP_SECONDS = 8
"""How long a request in flight may take once the service was told to stop: any has its answer by
then, as Temporal is given 5 s.
"""

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients and proxies keep theirs (5 to 60 s).
Whoever closes first must not be the service, or a request on its way would get no answer.
"""

BACKLOG = 2048
"""Connections that may wait to be taken."""

_TAKEN_AT_ONCE = 64
"""Of them, before those that are too many can be ended: all are open files until then."""

_OPEN_FILES = 1024
"""More than twice the connections that are kept."""


class _Server(uvicorn.Server):
    """uvicorn's server, which ends with exit code 0 after SIGTERM instead of by the signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; asyncio has one number for what may wait and for what is taken at once."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)

    def _stop(self) -> None:
        logger.info("stopping")
        self.should_exit = True


def _allow_open_files() -> None:
    """Raise this process's own limit as far as it may: many machines begin with 256 or 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run(settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, also while Temporal is away. Raises SettingsError where
    Temporal's settings are wrong, or its namespace does not exist.
    """
    client = await connect_lazily()
    await require_namespace(client)
    operations = Operations(client, settings.task_queue)
    config = uvicorn.Config(
        create_app(operations, settings.service_token),
        http=Protocol,
        # Of those that are worked on; `Protocol` keeps all others to its own bound.
        limit_concurrency=2 * MAX_CONNECTIONS,
        log_config=None,
        access_log=False,  # the page asks every other second
        server_header=False,
        lifespan="off",
        ws="none",
        backlog=_TAKEN_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    logger.info("listening on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    await _Server(config).serve(sockets=[listener])
    logger.info("stopped")


def listen(settings: ServiceSettings) -> socket.socket:
    """The socket to serve on. Raises SettingsError where it may not, or cannot, be had."""
    host, port = settings.service_host, settings.service_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        raise SettingsError(
            f"the host {host!r} is unknown; correct --host or SERVICE_HOST."
        ) from None
    # A name such as localhost may stand for both kinds of address; IPv4 is what people try.
    family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    if settings.service_token is None and not ipaddress.ip_address(str(address[0])).is_loopback:
        raise SettingsError(
            f"{host} can be reached from other machines: set SERVICE_TOKEN, or use 127.0.0.1."
        )
    listener = socket.socket(family, kind, protocol)
    # So that a restart does not wait for the last one's connections to be forgotten.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"port {port} on {host} cannot be used ({error.strerror}); "
            "choose another with --port or SERVICE_PORT."
        ) from None
    return listener


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See --help for the options.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m workflows.service",
        description="The HTTP service of the video workflows: it starts, shows and controls them.",
        epilog="Settings are also read from the environment and from .env: SERVICE_HOST, "
        "SERVICE_PORT, SERVICE_TOKEN (needed on any address but loopback), TASK_QUEUE, and "
        "Temporal's own TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, …",
        allow_abbrev=False,
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port to listen on (default: 3007)")
    return parser


def _port(text: str) -> int:
    # Python's own reading also takes the digits of other scripts.
    if re.fullmatch("[0-9]{1,5}", text) and 1 <= int(text) <= MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port")


def main() -> int:
    """Exit code 0 after a graceful stop, 2 for wrong settings."""
    repair_streams()
    set_up_logging()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # it says what is said here
    try:
        options = _parser().parse_args()
        load_dotenv_file()
        settings = load_settings(host=options.host, port=options.port)
        _allow_open_files()
        asyncio.run(run(settings, listen(settings)))
    except SettingsError as error:
        complain(f"service: {error}")
        return 2
    except KeyboardInterrupt:
        complain("service: interrupted before it started")
        return 130
    return 0


if __name__ == "__main__":
    leave(main())
