"""The wheel as somebody else installs it: into a fresh environment, beside a project of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
DEADLINE_SECONDS = 300


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(
        self, program: str, *arguments: str, cwd: Path, expected: int = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=cwd,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done

    def pip(self, *arguments: str) -> str:
        return self.run("python", "-m", "pip", *arguments, cwd=self.folder).stdout

    def installed(self) -> set[str]:
        return set(self.pip("list", "--format=freeze").split())


def _environment() -> dict[str, str]:
    """The user's own, which may say where pip finds things, without what is this repository's."""
    mine = ("PYTHON", "PYTEST_", "VIRTUAL_ENV", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this working copy."""
    return build_wheel(PROJECT, tmp_path_factory.mktemp("wheel"))


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a folder with a pyproject.toml, put into another folder."""
    pip = (sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "-q", "-w", str(folder))
    subprocess.run(pip, check=True, timeout=DEADLINE_SECONDS)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Makes a fresh one, with these requirements."""

    def make(*requirements: str) -> Environment:
        folder = tmp_path_factory.mktemp("environment")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        environment = Environment(folder)
        if requirements:
            environment.pip("install", "-q", *requirements)
        return environment

    return make
