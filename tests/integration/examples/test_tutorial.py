"""docs/tutorial.md is carried out word for word, and so is the example that it is about."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.process.programs import find_temporal_cli

PROJECT = Path(__file__).parents[3]
DEADLINE_SECONDS = 400
_BOTH = "cat tests/scenarios.py; grep -v __future__ tests/test_orders_survive.py"
_PREPARES = ("python3 -m venv", "pip install")
"""Lines that make an environment: the test has one already."""


@dataclass(frozen=True)
class Block:
    """A block of code; one without a language shows what the one before prints."""

    language: str
    text: str


def _tutorial() -> list[Block]:
    page = (PROJECT / "docs" / "tutorial.md").read_text()
    return [Block(*found) for found in re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)]


def _without_figures(text: str) -> str:
    """Durations differ from run to run, and so do the widths of columns; a machine that is busy may
    have to try twice, and a slow one has more heartbeats to probe.
    """
    lines = text.replace(", 2nd try", "").splitlines()
    masked = [re.sub(r"\d+", "…", x) if "points tried" in x else x for x in lines]
    return re.sub(r" +", " ", re.sub(r"\d+\.\d s", "… s", "\n".join(masked)))


def _bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).parent
    return subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "PYTEST_ADDOPTS": "-p no:asyncio",  # a newcomer has no such plugin
            "SUITE": str(PROJECT),
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def temporal_cli() -> Path:
    """Found once, so that no run has to build it."""
    return find_temporal_cli(None, announce=print).path


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "copy" / "orders"
    ignore = shutil.ignore_patterns("reports", "__pycache__")
    return Path(shutil.copytree(PROJECT / "examples" / "orders", folder, ignore=ignore))


pytestmark = pytest.mark.nightly


@pytest.mark.sample
@pytest.mark.timeout(3 * DEADLINE_SECONDS)
def test_the_tutorial_and_every_fault_of_the_example(tmp_path: Path, example: Path) -> None:
    with ThreadPoolExecutor() as pool:
        others = pool.submit(_bash, "pytest -m chaos -k every_fault", example)
        _follow(_tutorial(), tmp_path)
        run = others.result()

    assert run.returncode == 0, run.stdout + run.stderr
    assert "OVERALL: 1/1 tests passed" in run.stdout


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("pytest -m chaos -n 2", "run all scenarios in each of its processes"),
        (
            f"({_BOTH}) > tests/test_once_more.py && pytest -m chaos",
            "two scenarios are named",
        ),
    ],
)
def test_a_mistake_is_told_before_anything_is_started(
    script: str, sentence: str, example: Path
) -> None:
    run = _bash(script, example)

    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert sentence in run.stderr + run.stdout
    assert not (example / "reports").exists()


def _follow(blocks: list[Block], folder: Path) -> None:
    """Do what it says, and see what it says one sees; the second run is one that fails."""
    codes, output = [], ""
    for block in blocks:
        if block.language == "python":
            (folder / "tests" / "test_sleep.py").write_text(block.text)
        elif block.language == "toml":
            assert block.text in (PROJECT / "examples" / "orders" / "pyproject.toml").read_text()
        elif block.language == "bash":
            lines = [x for x in block.text.splitlines() if not x.startswith(_PREPARES)]
            run = _bash("\n".join(lines), folder)
            output = run.stdout + run.stderr
            if "cp -r" in block.text:
                folder = folder / "orders"
            if "pytest" in block.text:
                codes.append(run.returncode)
            else:
                assert run.returncode == 0, output
        else:
            for line in block.text.splitlines():
                assert _without_figures(line) in _without_figures(output), output

    assert codes == [0, 1, 0]
