from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from chaos.process.child import IMPORT_PATH, guest_environment, nearest_project


def _environment(folder: Path, *passed: str, **extra: str) -> dict[str, str]:
    return guest_environment("tag", Path("/scratch"), extra, folder=folder, passed=passed)


def _with_venv(project: Path, name: str = ".venv") -> Path:
    (project / name / "bin").mkdir(parents=True)
    (project / name / "bin" / "python").touch()
    (project / "pyproject.toml").touch()
    return project / name


def test_nothing_of_the_suite_is_on_its_path(tmp_path: Path) -> None:
    environment = _environment(tmp_path)

    assert "PYTHONPATH" not in environment
    assert not [each for each in environment.values() if IMPORT_PATH in each.split(os.pathsep)]


def test_it_has_the_variables_that_it_asks_for_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/mine")
    monkeypatch.setenv("PYTHONPATH", "/lib")
    monkeypatch.setenv("KEY", "secret")

    assert _environment(tmp_path)["HOME"] == "/scratch"
    assert not {"KEY", "PYTHONPATH"} & set(_environment(tmp_path))
    asked = _environment(tmp_path, "HOME", "PYTHONPATH", "MISSING", MORE="1")
    assert (asked["HOME"], asked["PYTHONPATH"], asked["MORE"]) == ("/mine", "/lib", "1")
    assert "MISSING" not in asked


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_python_is_that_of_the_projects_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", f"{sys.prefix}/bin{os.pathsep}/usr/bin")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    own = _with_venv(tmp_path, name)
    (tmp_path / "src" / "orders").mkdir(parents=True)

    for folder in (tmp_path, tmp_path / "src" / "orders"):
        environment = _environment(folder)
        assert environment["PATH"].split(os.pathsep) == [str(own / "bin"), "/usr/bin"]
        assert environment["VIRTUAL_ENV"] == str(own)


def test_without_one_it_is_that_of_the_users_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/first:/second")
    monkeypatch.setenv("VIRTUAL_ENV", "/activated")
    environment = _environment(tmp_path)

    assert (environment["PATH"], environment["VIRTUAL_ENV"]) == ("/first:/second", "/activated")


def test_a_path_that_it_asks_for_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/first:/second")
    _with_venv(tmp_path)

    assert _environment(tmp_path, "PATH")["PATH"] == "/first:/second"


def test_a_project_is_where_its_settings_are(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)

    assert nearest_project(tmp_path / "a" / "b") == tmp_path
    assert nearest_project(Path("/")) == Path("/")
