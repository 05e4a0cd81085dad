"""A worker process: `python -m workflows.worker`.

Settings come from the environment and from `.env`; the connection to Temporal from the SDK's
standard configuration. SIGTERM and Ctrl-C end it gracefully.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from dotenv import load_dotenv
from temporalio.client import Client
from temporalio.worker import Worker

from workflows import policies
from workflows.activities import VideoActivities
from workflows.artifacts import ArtifactStore
from workflows.cashier import Cashier
from workflows.connection import connect
from workflows.gemini import Gemini
from workflows.ledger import Ledger, LedgerError
from workflows.registry import WORKFLOWS
from workflows.settings import Settings, SettingsError, load_settings

logger = logging.getLogger("workflows.worker")


def build_worker(client: Client, activities: VideoActivities, settings: Settings) -> Worker:
    """A worker with this project's policies."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=[
            activities.open_operation,
            activities.generate_character,
            activities.start_video,
            activities.await_video,
            activities.download_video,
        ],
        max_concurrent_activities=policies.MAX_CONCURRENT_ACTIVITIES,
        graceful_shutdown_timeout=policies.GRACEFUL_SHUTDOWN_TIMEOUT,
        sticky_queue_schedule_to_start_timeout=policies.STICKY_QUEUE_TIMEOUT,
        max_heartbeat_throttle_interval=policies.HEARTBEAT_INTERVAL,
        default_heartbeat_throttle_interval=policies.HEARTBEAT_INTERVAL,
        # Servers newer than 1.31 hand activities to the worker that scheduled them; off, a kill
        # lands at the same point of the history everywhere.
        disable_eager_activity_execution=True,
    )


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises SettingsError where Temporal cannot be reached."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    client = await connect()
    ledger = await asyncio.to_thread(_open_ledger, settings)
    try:
        async with Gemini(settings) as gemini:
            store = ArtifactStore(settings.artifacts_dir.absolute())
            cashier = Cashier(ledger, store, settings)
            activities = VideoActivities(gemini, cashier, store, settings)
            async with build_worker(client, activities, settings):
                logger.info("working on task queue %s", settings.task_queue)
                await stop.wait()
                logger.info(
                    "stopping: what is in hand may take %s", policies.GRACEFUL_SHUTDOWN_TIMEOUT
                )
    finally:
        ledger.close()
    logger.info("stopped")


def _open_ledger(settings: Settings) -> Ledger:
    """The ledger; without one a worker does not begin. Raises SettingsError."""
    try:
        if settings.ledger_url is None:
            settings.artifacts_dir.mkdir(parents=True, exist_ok=True)
        return Ledger.open(settings.ledger_address(), grace_seconds=policies.LEDGER_GRACE_SECONDS)
    except OSError as error:
        raise SettingsError(
            f"the folder {settings.artifacts_dir} cannot be made ({error.strerror}); "
            "mend ARTIFACTS_DIR."
        ) from None
    except LedgerError as error:
        raise SettingsError(str(error)) from None


def main() -> int:
    """Exit code 0 after a graceful stop, 2 for wrong settings."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every poll
    try:
        _load_dotenv(Path.cwd() / ".env")
        asyncio.run(run(load_settings()))
    except SettingsError as error:
        sys.stderr.write(f"worker: {error}\n")
        return 2
    except KeyboardInterrupt:
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.write("worker: interrupted before it began\n")
        return 130
    return 0


def _load_dotenv(file: Path) -> None:
    try:
        load_dotenv(file)
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{file} cannot be read; mend it, or move it away.") from None


def _leave(exit_code: int) -> NoReturn:
    """End the process without the interpreter's own end.

    That one may meet a thread of the SDK's native runtime which is still busy with its last call,
    and then it aborts (exit code 134) with a "Fatal Python error" below our own sentence.
    """
    logging.shutdown()
    with contextlib.suppress(OSError):  # nobody reads any more
        sys.stderr.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    _leave(main())
