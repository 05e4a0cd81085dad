"""A project of somebody else's is the same before the wheel is installed, with it, and after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.wheel.conftest import Environment

NAME = "pytest-temporal-chaos"

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

FOREIGN_PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "somebodys-workflows"
version = "1"

[tool.hatch.build.targets.wheel]
packages = ["workflows"]
"""


class Guest:
    """An environment with a package `workflows`, and a project with a `workflows.py`."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment, self.project = environment, folder / "project"
        foreign = folder / "foreign"
        (foreign / "workflows").mkdir(parents=True)
        (foreign / "pyproject.toml").write_text(FOREIGN_PYPROJECT)
        (foreign / "workflows" / "__init__.py").write_text("WHOSE = 'the package'\n")
        (foreign / "workflows" / "ledger.py").write_text("BALANCE = 7\n")
        environment.pip("install", "-q", "pytest", str(foreign))
        self.project.mkdir()
        (self.project / "workflows.py").write_text("WHOSE = 'the file at the root'\n")
        (self.project / "test_own.py").write_text(
            "import workflows\n\ndef test_own(): assert workflows.WHOSE == 'the file at the root'\n"
        )

    def digests(self) -> dict[str, str]:
        """Of each of its files, by name."""
        folders = (self.project, self.environment.packages / "workflows")
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for folder in folders
            for file in folder.rglob("*")
            if file.is_file() and file.suffix == ".py"
        }

    def pytest(self) -> list[str]:
        """What pytest says, but for its list of plugins, and how long it took."""
        done = self.environment.run(
            *("python", "-m", "pytest", "-p", "no:cacheprovider"), cwd=self.project
        )
        lines = done.stdout.splitlines()
        return [
            line.partition(" in ")[0].strip("=")
            for line in lines
            if not line.startswith("plugins: ")
        ]

    def whose(self) -> str:
        """Which `workflows` Python imports where there is no project."""
        program = "import workflows, workflows.ledger; print(workflows.WHOSE)"
        return self.environment.run(
            "python", "-c", program, cwd=self.environment.folder
        ).stdout.strip()


@pytest.fixture(scope="module")
def guest(
    make_environment: Callable[..., Environment], tmp_path_factory: pytest.TempPathFactory
) -> Guest:
    return Guest(make_environment(), tmp_path_factory.mktemp("guest"))


@pytest.mark.sample
def test_workflows_of_ones_own_survive_install_and_uninstall(guest: Guest, wheel: Path) -> None:
    packages, files, said = guest.environment.installed(), guest.digests(), guest.pytest()
    assert len(files) == 4
    assert any("1 passed" in line for line in said)

    guest.environment.pip("install", "-q", str(wheel))
    with_it = guest.environment.installed()
    assert guest.digests() == files
    assert guest.whose() == "the package"
    assert guest.pytest() == said, "a project without scenarios sees nothing of the plugin"
    assert packages <= with_it, "nothing that was there has another version now"
    assert any(each.startswith(f"{NAME}==") for each in with_it)

    guest.environment.pip("uninstall", "-q", "-y", NAME)
    assert guest.digests() == files
    assert guest.whose() == "the package"
    assert guest.pytest() == said
    # What pytest compiled itself stays, as it does of each plugin.
    assert list((guest.environment.packages / "chaos").rglob("*.py")) == []
