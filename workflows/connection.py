"""The connection to Temporal, by the SDK's standard configuration (`TEMPORAL_*` and its file)."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import KeepAliveConfig, RPCError, RPCStatusCode

from workflows import policies
from workflows.settings import SettingsError

DEFAULT_ADDRESS = "localhost:7233"

_TRY_SECONDS = 10.0
"""Of one try to connect: on its own, the SDK waits without end for a TLS server that is silent."""

_NAMESPACE_SECONDS = 2.0

_AWAY = ("tcp connect error", "dns error", "transport error", "code: Unavailable")
"""Of an address, a name or a server that is not there yet; not of a certificate that is refused."""

logger = logging.getLogger("workflows.connection")


async def connect(
    *, metrics_address: str | None = None, patience: timedelta = timedelta(0)
) -> Client:
    """Connect to Temporal, and wait for that long where it is not up yet.

    `metrics_address` (host:port) is where the SDK then offers its metrics to Prometheus.
    Raises SettingsError where the configuration is wrong, nobody answers, or the namespace does not
    exist.
    """
    config = load_config()
    runtime = _runtime_with_metrics(metrics_address) if metrics_address else None
    began, is_told = time.monotonic(), False
    while True:
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                client = await _connect(config, runtime=runtime)
        except (RuntimeError, ValueError, TimeoutError) as error:
            left_seconds = patience.total_seconds() - (time.monotonic() - began)
            if left_seconds <= 0 or not _may_be_up_soon(error):
                raise _unreachable(config, error) from None
            if not is_told:
                logger.warning(
                    "Temporal at %s does not answer yet; trying for another %.0f s",
                    *(config["target_host"], left_seconds),
                )
                is_told = True
            await asyncio.sleep(policies.CONNECT_RETRY_INTERVAL.total_seconds())
        else:
            await require_namespace(client)
            return client


async def connect_unless(
    stop: asyncio.Event, *, metrics_address: str | None = None
) -> Client | None:
    """Connect with the patience of the policies; None where `stop` is set meanwhile.

    Raises SettingsError as `connect` does.
    """
    patience = policies.CONNECT_PATIENCE
    connecting = asyncio.create_task(connect(metrics_address=metrics_address, patience=patience))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (connecting, stopping):
        task.cancel()
    return await connecting if connecting.done() else None


async def connect_lazily() -> Client:
    """A client that connects at its first call, so that Temporal may be away now.

    Raises SettingsError where the configuration is wrong.
    """
    config = load_config()
    try:
        return await _connect(config, lazy=True)
    except (RuntimeError, ValueError) as error:
        raise _unreachable(config, error) from None


async def require_namespace(client: Client) -> None:
    """Raises SettingsError where the server says that there is no such namespace.

    One that does not answer, or does not let us ask, says nothing of the kind.
    """
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        async with asyncio.timeout(_NAMESPACE_SECONDS):
            await client.workflow_service.describe_namespace(request)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise SettingsError(
                f"the Temporal namespace {client.namespace!r} does not exist at "
                f"{client.service_client.config.target_host}; create it, or correct "
                "TEMPORAL_NAMESPACE."
            ) from None
    except (RuntimeError, TimeoutError):  # a lazy client cannot connect
        pass


def load_config() -> ClientConnectConfig:
    """The connection that is configured. Raises SettingsError."""
    try:
        config = ClientConfig.load_client_connect_config()
    except OSError as error:
        raise SettingsError(
            f"{error.filename}, which a TEMPORAL_TLS_* variable names, cannot be read "
            f"({error.strerror}); correct the variable."
        ) from None
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"cannot read the configuration of Temporal ({_first_line(error)}); "
            "correct the TEMPORAL_* variables, or the file that TEMPORAL_CONFIG_FILE names."
        ) from None
    config.setdefault("target_host", DEFAULT_ADDRESS)
    if config.get("namespace") == "":
        raise SettingsError("TEMPORAL_NAMESPACE is empty; unset it, or name a namespace.")
    return config


async def _connect(
    config: ClientConnectConfig, *, runtime: Runtime | None = None, lazy: bool = False
) -> Client:
    return await Client.connect(
        **config,
        data_converter=pydantic_data_converter,
        keep_alive_config=_keep_alive(),
        runtime=runtime,
        lazy=lazy,
    )


def _may_be_up_soon(error: Exception) -> bool:
    """Whether no server was reached, or one that is not ready; the SDK says so in words only."""
    return isinstance(error, TimeoutError) or any(words in str(error) for words in _AWAY)


def _unreachable(config: ClientConnectConfig, error: Exception) -> SettingsError:
    reason = _first_line(error) or "no answer"
    return SettingsError(
        f"cannot connect to Temporal at {config['target_host']} ({reason}); "
        "start it, or set TEMPORAL_ADDRESS."
    )


def _keep_alive() -> KeepAliveConfig:
    millisecond = timedelta(milliseconds=1)
    return KeepAliveConfig(
        interval_millis=policies.KEEPALIVE_INTERVAL // millisecond,
        timeout_millis=policies.KEEPALIVE_TIMEOUT // millisecond,
    )


def _runtime_with_metrics(address: str) -> Runtime:
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"cannot offer metrics at {address} ({_first_line(error)}); correct METRICS_ADDRESS."
        ) from None


def _first_line(error: Exception) -> str:
    """Short, and without the lines of a file that an error may quote."""
    return str(error).partition("\n")[0][:200]
