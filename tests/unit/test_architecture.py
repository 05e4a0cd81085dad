"""The code is held to docs/architecture.md: its paths exist, and imports point downwards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/architecture.md")
ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text()

FROM_WORKFLOWS = {
    "workflows.models",
    "workflows.pricing",
    "workflows.registry",
    "workflows.policies",
    "workflows.ledger",
    "workflows.ledger_place",
    "workflows.paid_calls",
    "workflows.settings",
    "workflows.connection",
}
"""All that chaos may import of the system under test."""


def _modules(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _floors() -> dict[str, int]:
    """The floor of each room, such as {"chaos.environment": 3}, as the document lists them."""
    floors = {}
    for line in re.sub(r"\n +", " ", ARCHITECTURE).splitlines():
        number = re.match(r"(\d+)\. `chaos/", line)
        for room in re.findall(r"`chaos/([a-z_]+)(?:\.py|/)`", line) if number else ():
            floors[f"chaos.{room}"] = int(number[1]) if number else 0
    return floors


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_the_document_lists_every_room() -> None:
    rooms = {
        _room(".".join(f.relative_to(PROJECT).with_suffix("").parts)) for f in _modules("chaos")
    }

    assert set(_floors()) == rooms - {"chaos.__init__"}


@pytest.mark.parametrize("file", _modules("chaos"), ids=lambda f: str(f.relative_to(PROJECT)))
def test_imports_point_downwards(file: Path) -> None:
    floors = _floors()
    own = _room(".".join(file.relative_to(PROJECT).with_suffix("").parts))

    for module in _imports(file):
        other = _room(module)
        if other in floors and other != own:
            assert floors[other] < floors[own], f"{own} must not import {module}"


@pytest.mark.parametrize("file", _modules("workflows"), ids=lambda f: f.name)
def test_workflows_know_nothing_of_chaos(file: Path) -> None:
    assert not [module for module in _imports(file) if module.split(".")[0] == "chaos"]


@pytest.mark.parametrize("file", _modules("chaos"), ids=lambda f: str(f.relative_to(PROJECT)))
def test_chaos_reaches_workflows_only_through_their_surface(file: Path) -> None:
    reached = {".".join(m.split(".")[:2]) for m in _imports(file) if m.startswith("workflows.")}

    assert reached <= FROM_WORKFLOWS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document: str) -> None:
    text = (PROJECT / document).read_text()
    paths = re.findall(r"`((?:chaos|workflows|tests|docs)/[\w./]*)`", text)

    assert paths
    assert [path for path in paths if not (PROJECT / path).exists()] == []


SPEAKS = {
    *("commands/terminal.py", "streams.py", "plugin.py"),
    *("explore/__main__.py", "binaries/__main__.py"),
    # What a run starts: its output is a log or a pipe of the harness.
    *("fake_api/__main__.py", "network/__main__.py", "spawner.py", "binaries/leash.py"),
}
"""All that writes to a terminal, and makes what it writes harmless."""

WRITES = {
    # Programs in folders of their own that no guest reaches before they are done, or a device.
    *("explore/lane.py", "binaries/wheel.py", "cluster/distributed.py", "faults/storage.py"),
}
"""All that writes a file in another way than `chaos/evidence/files.py`."""


def _calling(pattern: str) -> set[str]:
    chaos = PROJECT / "chaos"
    return {
        str(file.relative_to(chaos))
        for file in _modules("chaos")
        if re.search(pattern, file.read_text())
    }


def test_there_is_one_way_onto_a_terminal() -> None:
    assert _calling(r"std(out|err)\.write\(|\bprint\(") - {"commands/doctor.py"} == SPEAKS


def test_there_is_one_way_to_write_a_file_whole() -> None:
    assert _calling(r"\.write_(text|bytes)\(|\.open\(\"w") == WRITES


@pytest.mark.parametrize("package", ["chaos", "workflows"])
def test_nothing_rests_on_an_assert(package: str) -> None:
    """Under -O there is none."""
    asserts = [
        file
        for file in _modules(package)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]

    assert asserts == []
