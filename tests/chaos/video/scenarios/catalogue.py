"""All scenarios, in the order in which the table and `chaos list` number them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from chaos.experiment.scenario import Scenario, numbered
from tests.chaos.video.scenarios import (
    api_errors,
    api_slow,
    checkpoint,
    concurrency,
    database_damage,
    disk_full,
    fleet,
    key_revoked,
    network_api,
    network_server,
    no_interference,
    out_of_memory,
    permanent_failures,
    retry_config,
    server_pause,
    server_restart,
    worker_crash,
    worker_stop,
)

_IN_ORDER = (
    worker_crash,
    retry_config,
    server_restart,
    checkpoint,
    concurrency,
    worker_stop,
    fleet,
    out_of_memory,
    network_server,
    network_api,
    api_slow,
    api_errors,
    key_revoked,
    permanent_failures,
    no_interference,
    server_pause,
    disk_full,
    database_damage,
)


@cache
def all_scenarios() -> Sequence[Scenario]:
    """Every scenario of this folder, numbered."""
    return numbered(module.SCENARIO for module in _IN_ORDER)
