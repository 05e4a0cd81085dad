"""The code is held to docs/architecture.md: imports point downwards. Documents name real paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import loose_files, rooms

PROJECT = Path(__file__).parents[2]
HOUSE = PROJECT / "chaos"
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]
ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text()

MOST_ROOMS = 13
MOST_LOOSE_FILES = 3


def _modules(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def _imports(file: Path) -> Iterator[str]:
    """All of them: those of a function, and those for the type checker alone, count as well."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _reaches(file: Path, *packages: str) -> list[str]:
    return [module for module in _imports(file) if module.split(".")[0] in packages]


def _floors() -> list[str]:
    """The rooms as the document lists them, from the ground up."""
    return re.findall(r"^\d+\. `chaos/([a-z_]+)/`", ARCHITECTURE, re.MULTILINE)


def _name(file: Path) -> str:
    return str(file.relative_to(PROJECT))


def test_the_document_lists_every_room() -> None:
    assert sorted(_floors()) == [room.name for room in rooms(HOUSE)]


def test_the_house_is_small() -> None:
    """`python tests/rooms.py` prints it."""
    assert len(rooms(HOUSE)) <= MOST_ROOMS
    assert len(loose_files(HOUSE)) <= MOST_LOOSE_FILES


@pytest.mark.parametrize("file", _modules("chaos"), ids=_name)
def test_imports_point_downwards(file: Path) -> None:
    floors = _floors()
    own = file.relative_to(HOUSE).parts[0]
    above = floors[floors.index(own) + 1 :] if own in floors else []

    assert [
        m for m in _imports(file) if m.split(".")[:2] in [["chaos", room] for room in above]
    ] == []


@pytest.mark.parametrize("file", _modules("chaos"), ids=_name)
def test_the_harness_knows_nothing_of_its_guests(file: Path) -> None:
    """It is for any Temporal workers: of the video system it imports nothing, anywhere."""
    assert _reaches(file, "workflows", "tests", "benchmarks", "examples") == []


@pytest.mark.parametrize("file", _modules("workflows"), ids=lambda f: f.name)
def test_workflows_know_nothing_of_the_harness(file: Path) -> None:
    assert _reaches(file, "chaos", "tests") == []


def test_the_house_is_looked_through(tmp_path: Path) -> None:
    """Else the tests above could not fail: an import is seen wherever it hides."""
    hidden = tmp_path / "hidden.py"
    hidden.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import workflows.models\n"
        "def late():\n    from tests.chaos import video\n    return video\n"
    )

    assert _reaches(hidden, "workflows", "tests") == [
        "workflows.models",
        "tests.chaos",
        "tests.chaos.video",
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(PROJECT)))
def test_every_path_in_a_document_exists(document: Path) -> None:
    paths = re.findall(r"`((?:chaos|workflows|tests|docs|examples)/[\w./]*)`", document.read_text())

    assert [path for path in paths if not (PROJECT / path).exists()] == []


def test_paths_in_documents_are_seen() -> None:
    """Else the test above could not fail."""
    assert re.search(r"`chaos/[\w./]*`", ARCHITECTURE)


SPEAKS = {
    *("cli/terminal.py", "process/streams.py", "process/programs/__main__.py"),
    # What a run starts: its output is a log or a pipe of the harness.
    *("wire/__main__.py", "process/spawner.py"),
}
"""All that writes to a terminal, and makes what it writes harmless."""

WRITES = {
    # Programs in folders of their own that no guest reaches before they are done, or a device.
    *("process/programs/ways.py", "environment/cluster.py", "faults/storage.py"),
    "cli/replayers.py",
}
"""All that writes a file in another way than `chaos/evidence/files.py`."""


def _calling(pattern: str) -> set[str]:
    return {
        str(file.relative_to(HOUSE))
        for file in _modules("chaos")
        if re.search(pattern, file.read_text())
    }


def test_there_is_one_way_onto_a_terminal() -> None:
    drawn_by_a_library = {"cli/doctor.py"}
    assert _calling(r"std(out|err)\.write\(|\bprint\(") - drawn_by_a_library == SPEAKS


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
