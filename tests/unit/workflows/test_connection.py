from __future__ import annotations

from pathlib import Path

import pytest

from workflows.connection import connect


async def test_a_silent_connection_is_probed_as_the_policies_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "temporal.toml").touch()
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    client = await connect(lazy=True)

    keep_alive = client.service_client.config.keep_alive_config
    assert keep_alive
    assert (keep_alive.interval_millis, keep_alive.timeout_millis) == (12_000, 8_000)
