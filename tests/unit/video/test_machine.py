"""What this project needs of a machine: a browser for its own tests, a key for a live run."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.environment.needs import Need, State
from tests.chaos.video.target import VIDEO

KEY = "AIza-canary-of-the-doctor"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a program or a key of ours."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


def _key(project: Path) -> Need:
    return next(need for need in VIDEO.needs(project) if need.what == "GEMINI_API_KEY")


def test_a_browser_is_optional(tmp_path: Path) -> None:
    (found,) = (need for need in VIDEO.needs(tmp_path) if need.what == "Chromium")
    assert (found.state, found.found) == (State.OPTIONAL, "none")

    (tmp_path / "bin").mkdir()
    chromium = tmp_path / "bin" / "chromium"
    chromium.touch(mode=0o755)
    (found,) = (need for need in VIDEO.needs(tmp_path) if need.what == "Chromium")
    assert (found.state, found.found) == (State.OK, str(chromium))


def test_the_key_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _key(tmp_path).state is State.OPTIONAL

    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    found = _key(tmp_path)

    assert (found.state, found.found) == (State.OK, "set")
    assert KEY not in str(found)


def test_a_key_in_the_projects_file_counts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"GEMINI_API_KEY={KEY}\n")

    assert _key(tmp_path).state is State.OK
