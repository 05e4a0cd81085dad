"""The connection to Temporal, by the SDK's standard configuration (`TEMPORAL_*` and its file)."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import KeepAliveConfig

from workflows import policies
from workflows.settings import SettingsError

DEFAULT_ADDRESS = "localhost:7233"


async def connect(*, metrics_address: str | None = None, lazy: bool = False) -> Client:
    """Connect to Temporal; `lazy`: not before the first call, so that it may be away now.

    `metrics_address` (host:port) is where the SDK then offers its metrics to Prometheus.
    Raises SettingsError where the configuration is wrong or nobody answers.
    """
    config = load_config()
    runtime = _runtime_with_metrics(metrics_address) if metrics_address else None
    try:
        return await Client.connect(
            **config,
            data_converter=pydantic_data_converter,
            keep_alive_config=_keep_alive(),
            runtime=runtime,
            lazy=lazy,
        )
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"cannot connect to Temporal at {config['target_host']} ({_first_line(error)}); "
            "start it, or set TEMPORAL_ADDRESS."
        ) from None


def load_config() -> ClientConnectConfig:
    """The connection that is configured. Raises SettingsError."""
    try:
        config = ClientConfig.load_client_connect_config()
    except OSError as error:
        raise SettingsError(
            f"{error.filename}, which a TEMPORAL_TLS_* variable names, cannot be read "
            f"({error.strerror}); mend the variable."
        ) from None
    except (RuntimeError, ValueError) as error:
        raise SettingsError(
            f"cannot read the configuration of Temporal ({_first_line(error)}); "
            "mend the TEMPORAL_* variables, or the file that TEMPORAL_CONFIG_FILE names."
        ) from None
    config.setdefault("target_host", DEFAULT_ADDRESS)
    return config


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
            f"cannot offer metrics at {address} ({_first_line(error)}); mend METRICS_ADDRESS."
        ) from None


def _first_line(error: Exception) -> str:
    """Short, and without the lines of a file that an error may quote."""
    return str(error).partition("\n")[0][:200]
