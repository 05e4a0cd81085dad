"""`python -m workflows.fleet --workers 3`: worker processes that fail over to each other.

It takes the settings of a worker. SIGTERM and Ctrl-C let all workers finish what is in flight.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shlex
import signal
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence

from workflows.alerts import load_receivers
from workflows.connection import connect_unless
from workflows.entry import complain, leave, load_dotenv_file, repair_streams, set_up_logging
from workflows.fleet.failover import Failover
from workflows.fleet.output import Output
from workflows.fleet.spawner import WORKER_ARGV, Spawner
from workflows.fleet.supervisor import Supervisor
from workflows.network import check_network
from workflows.payments.identity import open_journal
from workflows.settings import Settings, SettingsError, load_settings

logger = logging.getLogger("workflows.fleet")

MOST_WORKERS = 64
LAST_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 after a graceful stop, 1 if a worker had to be killed, 2 for a wrong setting."""
    repair_streams()
    options = _parser().parse_args(arguments)
    # It may be inherited that children are ignored, and then nobody can wait for one.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    spawner = Spawner()
    if tuple(options.command) == WORKER_ARGV:
        spawner.begin()  # before there is another thread
    output = Output()
    set_up_logging(output)
    try:
        load_dotenv_file()
        settings = load_settings()
        all_ended = asyncio.run(_run(options.workers, options.command, settings, output, spawner))
    except SettingsError as error:
        complain(f"fleet: {error}")
        return 2
    except KeyboardInterrupt:
        complain("fleet: interrupted before it started")
        return 130
    finally:
        spawner.end()
        output.close()
    return 0 if all_ended else 1


async def _run(
    workers: int, argv: Sequence[str], settings: Settings, output: Output, spawner: Spawner
) -> bool:
    metrics = _metrics(settings.metrics_address, workers)
    check_network()  # otherwise each worker would end because of it
    load_receivers()  # for the same reason
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    client = await connect_unless(stop)
    if client is None:
        logger.info("stopped before Temporal was up")
        return True
    journal = await asyncio.to_thread(open_journal, settings)
    try:
        supervisor = Supervisor(
            argv, workers, Failover(client, journal), metrics, output.write, spawner
        )
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, supervisor.stop)
        if stop.is_set():  # while the journal was opened
            supervisor.stop()
        return await supervisor.run()
    finally:
        journal.close()


def _metrics(address: str | None, workers: int) -> Callable[[int], Mapping[str, str]]:
    """Each worker serves its metrics at a port of its own, counted up from the one that is set.

    Raises SettingsError where there are too few ports.
    """
    if address is None:
        return lambda _: {}
    host, _, port = address.rpartition(":")
    highest = LAST_PORT - workers + 1
    if int(port) > highest:
        raise SettingsError(
            f"METRICS_ADDRESS leaves too few ports for {workers} workers, which count up from "
            f"{port}; use a port up to {highest}."
        )
    return lambda number: {"METRICS_ADDRESS": f"{host}:{int(port) + number - 1}"}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m workflows.fleet",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workers",
        type=_count,
        default=3,
        metavar="N",
        help=f"worker processes, 1 to {MOST_WORKERS} (default: 3)",
    )
    parser.add_argument(
        "--command",
        type=_command,
        default=list(WORKER_ARGV),
        metavar="'PROGRAM …'",
        help="how a worker is started (default: python -m workflows.worker)",
    )
    return parser


def _count(text: str) -> int:
    # Python's own reading also takes the digits of other scripts.
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_WORKERS:
        raise ArgumentTypeError(f"must be a number from 1 to {MOST_WORKERS}, not {text!r}")
    return int(text)


def _command(text: str) -> list[str]:
    try:
        argv = shlex.split(text)
    except ValueError as error:
        raise ArgumentTypeError(f"cannot be read ({error})") from None
    if not argv:
        raise ArgumentTypeError("is empty")
    return argv


if __name__ == "__main__":
    leave(main())
