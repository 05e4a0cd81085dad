"""All scenarios, in the order in which the table and `chaos list` number them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module

from chaos.experiment.scenario import Scenario, numbered

_IN_ORDER = (
    "worker_crash",
    "retry_config",
    "server_restart",
    "checkpoint",
    "concurrency",
    "worker_stop",
    "fleet",
    "out_of_memory",
    "network_server",
    "network_api",
    "api_slow",
    "api_errors",
    "key_revoked",
    "permanent_failures",
    "no_interference",
    "server_pause",
    "disk_full",
    "database_damage",
)


@cache
def all_scenarios() -> Sequence[Scenario]:
    """Every scenario of this folder, numbered; each is in the module of its name."""
    modules = (import_module(f"tests.chaos.video.scenarios.{name}") for name in _IN_ORDER)
    return numbered(module.SCENARIO for module in modules)
