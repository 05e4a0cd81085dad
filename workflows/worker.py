"""A worker process: `python -m workflows.worker`.

Settings come from the environment and from `.env`; the connection to Temporal from the SDK's
standard configuration. SIGTERM and Ctrl-C end it gracefully.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

from workflows import policies, versioned, videos
from workflows.activities import VideoActivities
from workflows.alerts import Alerts, load_receivers
from workflows.artifacts import ArtifactStore
from workflows.connection import connect_unless
from workflows.entry import complain, leave, load_dotenv_file, repair_streams, set_up_logging
from workflows.fleet.reports import ReportingInterceptor, SupervisorLink
from workflows.gemini import Gemini
from workflows.network import check_network
from workflows.payments.execute import PaidCalls
from workflows.payments.identity import names_in_use, open_journal
from workflows.settings import Settings, SettingsError, load_settings

OLD_ALERTS_FOLDER = ".alerts"
"""Among the artifacts, where earlier versions kept the alerts that were not sent yet."""

logger = logging.getLogger("workflows.worker")


def build_worker(
    client: Client,
    activities: VideoActivities,
    settings: Settings,
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """A worker with this project's policies."""
    deployment = deployment_of(settings)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=versioned.WORKFLOWS if deployment else videos.WORKFLOWS,
        activities=activities.all,
        max_concurrent_activities=policies.MAX_CONCURRENT_ACTIVITIES,
        interceptors=interceptors,
        # The one excludes the other.
        build_id=None if deployment else build_id(),
        deployment_config=deployment,
        graceful_shutdown_timeout=policies.GRACEFUL_SHUTDOWN_TIMEOUT,
        sticky_queue_schedule_to_start_timeout=policies.STICKY_QUEUE_TIMEOUT,
        max_heartbeat_throttle_interval=policies.HEARTBEAT_INTERVAL,
        default_heartbeat_throttle_interval=policies.HEARTBEAT_INTERVAL,
        # From 1.32 on, servers hand activities to the worker that scheduled them, by default. Off,
        # each is polled for on its own, and a kill lands at the same point of the history on all.
        disable_eager_activity_execution=True,
    )


def deployment_of(settings: Settings) -> WorkerDeploymentConfig | None:
    """The version that this worker polls for, where Worker Versioning is on; else None.

    Each workflow says itself how it is versioned: one that does not is refused at the start.
    """
    name = settings.temporal_deployment_name
    if name is None:
        return None
    version = WorkerDeploymentVersion(name, settings.temporal_worker_build_id or build_id())
    return WorkerDeploymentConfig(version=version, use_worker_versioning=True)


def build_id() -> str:
    """Of this package's own code. The SDK's default reads every module that is loaded, which takes
    as long as all else that a worker does before it is ready.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises SettingsError where Temporal cannot be reached."""
    receivers = load_receivers()
    check_network()
    _warn_of_old_alerts(settings.artifacts_dir.absolute() / OLD_ALERTS_FOLDER)
    if os.environ.get("GOOGLE_API_KEY"):
        logger.info("both GEMINI_API_KEY and GOOGLE_API_KEY are set; GEMINI_API_KEY is used")
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    client = await connect_unless(stop, metrics_address=settings.metrics_address)
    if client is None:
        logger.info("stopped before Temporal was up")
        return
    link = SupervisorLink.of_this_process()
    journal = await asyncio.to_thread(open_journal, settings, link.sender if link else None)
    try:
        async with Gemini(settings) as gemini:
            store = ArtifactStore(settings.artifacts_dir.absolute(), names_in_use(settings))
            paid_calls = PaidCalls(journal, store, settings)
            activities = VideoActivities(gemini, paid_calls, store, settings)
            interceptors = [ReportingInterceptor(link)] if link else []
            alerts = Alerts(client, settings.task_queue, receivers, build_id())
            async with (
                alerts,
                _supervised(link, client, stop),  # till the worker has finished what it has
                build_worker(client, activities, settings, [*interceptors, alerts.interceptor]),
            ):
                logger.info(
                    "working on task queue %s%s", settings.task_queue, _as_version(settings)
                )
                await stop.wait()
                logger.info(
                    "stopping: attempts in flight may take %s", policies.GRACEFUL_SHUTDOWN_TIMEOUT
                )
                alerts.stop()
    finally:
        journal.close()
    logger.info("stopped")


def _as_version(settings: Settings) -> str:
    deployment = deployment_of(settings)
    return f" as version {deployment.version.to_canonical_string()}" if deployment else ""


def _warn_of_old_alerts(folder: Path) -> None:
    waiting = len(list(folder.rglob("*.json")))
    if waiting:
        logger.warning(
            "%d alerts of an earlier version in %s are not sent; delete them.", waiting, folder
        )


@asynccontextmanager
async def _supervised(
    link: SupervisorLink | None, client: Client, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Report to the supervisor that started this worker, if one did."""
    if link is None:
        yield
    else:
        async with link.kept(client.identity, stop.set):
            yield


def main() -> int:
    """Exit code 0 after a graceful stop, 2 for wrong settings."""
    repair_streams()
    set_up_logging()
    try:
        load_dotenv_file()
        asyncio.run(run(load_settings()))
    except SettingsError as error:
        complain(f"worker: {error}")
        return 2
    except KeyboardInterrupt:
        complain("worker: interrupted before it started")
        return 130
    return 0


if __name__ == "__main__":
    leave(main())
