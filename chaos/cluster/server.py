"""A Temporal dev server with a database file of its own, or, as a control, with none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError

from chaos.ports import Port
from chaos.process import Child

NAMESPACE = "default"
READY_DEADLINE_SECONDS = 30.0


@cache
def _quiet_runtime() -> Runtime:
    """The SDK's runtime without its warnings: that servers go away is the point here."""
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="OFF")))


@dataclass
class TemporalServer:
    """The server process and the port that it keeps over restarts."""

    child: Child
    port: Port

    @staticmethod
    def argv(
        cli: Path, port: Port, database: Path | None, dynamic_config: Mapping[str, str]
    ) -> list[str]:
        """The command line; it must be the same at a restart, dynamic configuration included."""
        return [
            str(cli),
            *("server", "start-dev", "--headless", "--log-level", "warn"),
            *("--ip", "127.0.0.1", "--port", str(port.number)),
            *(("--db-filename", str(database)) if database else ()),
            *(
                part
                for key, value in dynamic_config.items()
                for part in ("--dynamic-config-value", f"{key}={value}")
            ),
        ]

    async def start(self) -> None:
        """Start it and wait until its namespace answers. Raises ChildError."""
        await self.child.start_ready(
            self._answers,
            what="the Temporal server answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def connect(self) -> Client:
        """A client of its own connection, which finds the server again after a restart."""
        return await Client.connect(
            self.port.address,
            namespace=NAMESPACE,
            data_converter=pydantic_data_converter,
            runtime=_quiet_runtime(),
        )

    async def _answers(self) -> bool:
        try:
            # A new connection each time: one that has failed waits longer before each retry.
            client = await self.connect()
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=NAMESPACE), timeout=timedelta(seconds=1)
            )
        except (RuntimeError, RPCError):
            return False
        return True
