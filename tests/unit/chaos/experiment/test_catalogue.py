"""A project's targets: found as its `pyproject.toml` names them, or told in a sentence why not."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.environment.target import Target
from chaos.experiment.catalogue import (
    CatalogueError,
    project_above,
    scenarios_of,
    target_of,
    targets_of,
)

PROJECT = Path(__file__).parents[4]
TARGET = """
from chaos import Scenario, Target

FIRST = Target(
    worker=("true",),
    task_queue="first",
    scenarios=lambda: [Scenario("one", "One", ()), Scenario("two", "Two", ())],
)
SECOND = Target(
    worker=("true",), task_queue="second", scenarios=lambda: [Scenario("three", "Three", ())]
)
NOTHING = "text"
"""

Project = Callable[..., Path]

_NUMBERS = itertools.count()


@pytest.fixture
def clean_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports from its own folders is forgotten after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    targets_of.cache_clear()
    yield
    targets_of.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("guest_"):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, clean_imports: None) -> Project:
    """Makes a project whose module, of a name of its own, is called as `{module}` in its table."""
    del clean_imports

    def make(targets: str = '["{module}:FIRST"]', code: str = TARGET, table: str = "") -> Path:
        module = f"guest_{next(_NUMBERS)}"
        (tmp_path / f"{module}.py").write_text(code)
        named = table or f"[tool.chaos]\ntargets = {targets.replace('{module}', module)}\n"
        (tmp_path / "pyproject.toml").write_text(named)
        targets_of.cache_clear()
        return tmp_path

    return make


def _sentence(folder: Path, ask: Callable[[Path], object] = targets_of) -> str:
    """What a user is told: one line, which ends as a sentence does."""
    with pytest.raises(CatalogueError) as caught:
        ask(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert said.endswith((".", ";"))
    assert not re.search(r"\.\s", said.replace(str(folder), ""))
    return said


def test_targets_are_found_from_the_projects_folder_in_their_order(project: Project) -> None:
    folder = project('["{module}:SECOND", "{module}:FIRST"]')

    targets = targets_of(folder)
    assert [target.task_queue for target in targets] == ["second", "first"]
    assert all(isinstance(target, Target) for target in targets)
    assert target_of(folder) is targets[0], "the first one is drawn from and explored"


@pytest.mark.parametrize("written", ['["src", "../shared"]', '"src ../shared"'])
def test_modules_are_found_where_pytest_finds_them(
    written: str, tmp_path: Path, clean_imports: None
) -> None:
    del clean_imports
    shared, own = tmp_path / "shared", tmp_path / "own"
    for folder in (shared, own / "src"):
        folder.mkdir(parents=True)
    (shared / "guest_shared.py").write_text(TARGET)
    (own / "src" / "guest_own.py").write_text("from guest_shared import SECOND")
    options = f"[tool.pytest.ini_options]\npythonpath = {written}\n"
    (own / "pyproject.toml").write_text(f'{options}[tool.chaos]\ntargets = ["guest_own:SECOND"]\n')

    assert [target.task_queue for target in targets_of(own)] == ["second"]
    assert sys.path[:3] == [str(own), str(own / "src"), str(shared)]


def test_the_scenarios_of_all_targets_are_the_projects_and_numbered(project: Project) -> None:
    folder = project('["{module}:FIRST", "{module}:SECOND"]')

    found = [(scenario.number, scenario.name) for scenario in scenarios_of(folder)]
    assert found == [(1, "one"), (2, "two"), (3, "three")]


def test_a_target_is_imported_once(project: Project) -> None:
    folder = project()

    assert targets_of(folder)[0] is targets_of(folder)[0]


def test_this_project_has_its_videos() -> None:
    (video, *_) = targets_of(PROJECT)

    assert len(video.scenarios()) == 18


@pytest.mark.parametrize("table", ["[project]\nname = 'x'\n", "[tool.chaos]\n", "tool = 3\n"])
def test_a_project_without_targets_has_none(table: str, project: Project) -> None:
    folder = project(table=table)

    assert targets_of(folder) == []
    added = 'add a table [tool.chaos] with targets = ["module:attribute"]'
    assert added in _sentence(folder, target_of)
    assert added in _sentence(folder, scenarios_of)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys\nsys.exit(0)", "cannot be imported (SystemExit(0))"),
        (TARGET.replace("Scenario(", "Missing("), "a target's scenarios cannot be loaded"),
        (
            "from chaos import Target\nFIRST = Target(worker=('x',), task_queue='q')",
            "has scenarios",
        ),
    ],
)
def test_a_target_that_gives_no_scenarios_is_told(code: str, words: str, project: Project) -> None:
    assert words in _sentence(project(code=code), scenarios_of)


def test_a_folder_without_a_project_has_none(tmp_path: Path) -> None:
    assert targets_of(tmp_path / "nowhere") == []
    assert "names no target" in _sentence(tmp_path / "nowhere", target_of)


def test_the_nearest_project_above_is_found(project: Project, tmp_path: Path) -> None:
    folder = project()
    below = tmp_path / "package" / "tests"
    below.mkdir(parents=True)
    (tmp_path / "package" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (below / "pyproject.toml").write_text("tool = 3\n")

    assert project_above(below) == project_above(folder) == folder
    (tmp_path / "package" / "pyproject.toml").write_text("[tool.chaos]\n")
    assert project_above(below) == tmp_path / "package"


@pytest.mark.parametrize("content", ["[tool.chaos\n", "[tool]\nchaos = 3\n"])
def test_a_damaged_project_on_the_way_up_is_none(
    content: str, project: Project, tmp_path: Path
) -> None:
    folder = project()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "pyproject.toml").write_text(content)

    assert project_above(tmp_path / "below") == folder


def test_a_folder_of_its_name_is_told(tmp_path: Path) -> None:
    targets_of.cache_clear()
    (tmp_path / "pyproject.toml").mkdir()

    assert "cannot be read (" in _sentence(tmp_path)


def test_a_module_of_another_project_is_never_taken_for_its_own(
    project: Project, tmp_path: Path
) -> None:
    """Python knows one module of a name."""
    here = tmp_path / "here"
    here.mkdir()
    folder = project()
    (module,) = folder.glob("guest_*.py")
    targets_of(folder)
    (here / module.name).write_text(TARGET)
    (here / "pyproject.toml").write_text(f'[tool.chaos]\ntargets = ["{module.stem}:FIRST"]\n')

    assert "is already imported under that name: run one project at a time" in _sentence(here)


FORM = 'must be a list of "module:attribute".'
TABLE = "[tool.chaos] must be a table."


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"targets": '"{module}:FIRST"'}, FORM),
        ({"targets": "[1]"}, FORM),
        ({"targets": '["{module}.FIRST"]'}, FORM),
        ({"targets": '[["{module}:FIRST"]]'}, FORM),
        ({"targets": "{a = 1}"}, FORM),
        ({"table": "[tool]\nchaos = 'x'\n"}, TABLE),
        ({"table": "tool.chaos = ['module:attribute']\n"}, TABLE),
        ({"table": "[tool.chaos]\ntarget = ['a:b']\n"}, "has no 'target', only targets"),
        ({"table": "[tool.chaos\n"}, "pyproject.toml cannot be read ("),
        ({"targets": '["no_such_module_at_all:X"]'}, "cannot be imported (ModuleNotFoundError"),
        ({"targets": '["{module}:THIRD"]'}, "cannot be imported (AttributeError"),
        ({"targets": '[":FIRST"]'}, "cannot be imported (ValueError"),
        ({"code": "1 / 0"}, "cannot be imported (ZeroDivisionError"),
        ({"code": "def"}, "cannot be imported (SyntaxError"),
        ({"code": "raise SystemError('two\\nlines')"}, "cannot be imported (SystemError"),
        ({"targets": '["{module}:NOTHING"]'}, " is not a chaos.Target."),
    ],
    ids=str,
)
def test_what_is_no_target_is_told_with_its_cause(
    made: dict[str, str], words: str, project: Project
) -> None:
    assert words in _sentence(project(**made))


def test_what_was_wrong_is_looked_at_again(project: Project) -> None:
    _sentence(project('["{module}:THIRD"]'))

    assert [target.task_queue for target in targets_of(project())] == ["first"]
