"""The worker: `python -m orders.worker`. The TEMPORAL_* variables say where Temporal is, and
ORDERS_VERSION which version of the order it works by.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker, WorkerDeploymentConfig, WorkerDeploymentVersion

from orders import workflow, workflow_unpatched, workflow_v2
from orders.activities import charge_card, check_order, refund_card, ship_parcel

VERSIONS = {
    "1": workflow.Order,
    "2": workflow_v2.Order,
    "2-unpatched": workflow_unpatched.Order,
}
"""The workflow of each version."""

GRACE = timedelta(seconds=15)
"""How long a worker that is told to stop works on what it has begun: a request takes no longer."""


async def main() -> None:
    """Work until SIGTERM or Ctrl-C."""
    order = _order()
    client = await Client.connect(**ClientConfig.load_client_connect_config(), runtime=_runtime())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Worker(
        client,
        task_queue=os.environ.get("TASK_QUEUE", workflow.TASK_QUEUE),
        workflows=[order],
        activities=[charge_card, check_order, refund_card, ship_parcel],
        deployment_config=_deployment(),
        graceful_shutdown_timeout=GRACE,
    ):
        await stop.wait()


def _order() -> type:
    """The workflow of the version that is asked for. Exits with 2 where there is no such."""
    asked = os.environ.get("ORDERS_VERSION", "1")
    if asked not in VERSIONS:
        sys.stderr.write(f"ORDERS_VERSION is {asked!r}: there are {', '.join(VERSIONS)}.\n")
        sys.exit(2)
    return VERSIONS[asked]


def _runtime() -> Runtime | None:
    """The SDK's own, or one that serves metrics to Prometheus at METRICS_ADDRESS."""
    address = os.environ.get("METRICS_ADDRESS")
    if address is None:
        return None
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))


def _deployment() -> WorkerDeploymentConfig | None:
    """Its place in Worker Versioning, by the variables of Temporal's worker controller. None: it is
    not versioned.
    """
    name = os.environ.get("TEMPORAL_DEPLOYMENT_NAME")
    build_id = os.environ.get("TEMPORAL_WORKER_BUILD_ID")
    if not name or not build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(name, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


if __name__ == "__main__":
    asyncio.run(main())
