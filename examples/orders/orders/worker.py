"""The worker: `python -m orders.worker`. The TEMPORAL_* variables say where Temporal is."""

from __future__ import annotations

import asyncio
import os
import signal

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker

from orders.activities import charge_card, refund_card, ship_parcel
from orders.workflow import TASK_QUEUE, Order


async def main() -> None:
    """Work until SIGTERM or Ctrl-C."""
    client = await Client.connect(**ClientConfig.load_client_connect_config(), runtime=_runtime())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Worker(
        client,
        task_queue=os.environ.get("TASK_QUEUE", TASK_QUEUE),
        workflows=[Order],
        activities=[charge_card, refund_card, ship_parcel],
    ):
        await stop.wait()


def _runtime() -> Runtime | None:
    """The SDK's own, or one that serves metrics to Prometheus at METRICS_ADDRESS."""
    address = os.environ.get("METRICS_ADDRESS")
    if address is None:
        return None
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))


if __name__ == "__main__":
    asyncio.run(main())
