"""What a user sees of a worker that cannot start: exit code 2 and one line that says why."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.cluster.worker import WORKER_ARGV
from chaos.guardian import Guard
from chaos.ports import Port
from chaos.process import child_environment

KEY = "hush-hush"

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def nobody() -> Iterator[Port]:
    """A port where nobody answers."""
    port = Port()
    yield port
    port.release()


@pytest.fixture
def start(guard: Guard, tmp_path: Path, nobody: Port) -> Start:
    """Starts a worker in an empty folder, with these settings, and waits for its end."""

    def start(**settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            WORKER_ARGV,
            env=child_environment(
                guard.mark, tmp_path, {"TEMPORAL_ADDRESS": nobody.address, **settings}
            ),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return start


def complaint(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a worker that exited with 2."""
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


def test_a_missing_key_is_told(start: Start) -> None:
    expected = "worker: GEMINI_API_KEY is not set; put it into the environment or into .env."
    assert complaint(start()) == expected


def test_a_key_with_a_line_break_is_told_and_not_shown(start: Start) -> None:
    line = complaint(start(GEMINI_API_KEY=f"{KEY}\n{KEY}"))
    assert line.startswith("worker: GEMINI_API_KEY has a space, a line break")
    assert KEY not in line


def test_an_unknown_model_is_told(start: Start) -> None:
    line = complaint(start(GEMINI_API_KEY=KEY, GEMINI_IMAGE_MODEL="a-new-model"))
    assert line.startswith("worker: no price per image is known for the model 'a-new-model'")


def test_a_server_that_does_not_answer_is_told(start: Start, nobody: Port) -> None:
    line = complaint(start(GEMINI_API_KEY=KEY))
    assert line.startswith(f"worker: cannot connect to Temporal at {nobody.address} (")
    assert line.endswith("; start it, or set TEMPORAL_ADDRESS.")
    assert KEY not in line


def test_an_address_that_is_none_is_told(start: Start) -> None:
    line = complaint(start(GEMINI_API_KEY=KEY, TEMPORAL_ADDRESS="no address"))
    assert line.startswith("worker: cannot connect to Temporal at no address (")


def test_a_broken_temporal_configuration_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "temporal.toml").write_text("this is no TOML")
    line = complaint(start(GEMINI_API_KEY=KEY, TEMPORAL_CONFIG_FILE="temporal.toml"))
    assert line.startswith("worker: cannot read the configuration of Temporal (")
    assert "no TOML" not in line


def test_settings_are_read_from_a_file_beside_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=a key of the file\n")
    assert complaint(start()).startswith("worker: GEMINI_API_KEY has a space")


def test_the_environment_counts_more_than_the_file(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=a key of the file\n")
    assert complaint(start(GEMINI_API_KEY=KEY)).startswith("worker: cannot connect to Temporal")
