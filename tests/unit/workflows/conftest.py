"""Fixtures: an environment that holds nothing of the user's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.settings import Settings


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting is set and no `.env` is near; set what the test needs on what this returns."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch
