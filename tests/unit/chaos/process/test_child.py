"""What a child process finds in its environment: a program of ours, and one of a guest's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.process.child import IMPORT_PATH, child_environment, guest_environment
from chaos.process.reaper import MARK

HOME = Path("/scratch")


@pytest.fixture(autouse=True)
def users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user may have set, and a guest's worker must not get by itself."""
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    monkeypatch.setenv("GUEST_DATABASE", "postgres://guest")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "prod:7233")
    monkeypatch.setenv("PATH", "/usr/bin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a guest's program runs: below the root of its project."""
    (tmp_path / "project" / "src").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    return tmp_path / "project" / "src"


Guest = Callable[..., dict[str, str]]


@pytest.fixture
def guest(folder: Path) -> Guest:
    """The environment of a program that runs there."""

    def made(*passed: str, **extra: str) -> dict[str, str]:
        return guest_environment("mark", HOME, extra, folder=folder, passed=passed)

    return made


def _venv(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    return folder


def test_a_program_of_ours_finds_the_suite() -> None:
    assert child_environment("mark", HOME, {})["PYTHONPATH"] == IMPORT_PATH


def test_a_guests_program_finds_no_path_of_the_suite(guest: Guest) -> None:
    environment = guest()

    assert "PYTHONPATH" not in environment
    assert not [name for name, value in environment.items() if IMPORT_PATH in value.split(":")]


def test_nothing_of_the_users_gets_in_by_itself(guest: Guest) -> None:
    for found in (child_environment("mark", HOME, {}), guest()):
        assert not {"GUEST_DATABASE", "TEMPORAL_ADDRESS"} & found.keys()
        assert (found[MARK], found["HOME"], found["PATH"]) == ("mark", "/scratch", "/usr/bin")


def test_a_guest_gets_the_variables_that_it_asks_for_where_the_user_has_set_them(
    guest: Guest,
) -> None:
    environment = guest("GUEST_DATABASE", "NOT_SET", "PYTHONPATH")

    assert environment["GUEST_DATABASE"] == "postgres://guest"
    assert environment["PYTHONPATH"] == "/of/the/user"
    assert "NOT_SET" not in environment


def test_what_a_case_sets_wins_over_what_the_user_has_set(guest: Guest) -> None:
    environment = guest(
        *("GUEST_DATABASE", "PYTHONPATH"), GUEST_DATABASE="sqlite://", PYTHONPATH="/of/the/guest"
    )

    assert environment["GUEST_DATABASE"] == "sqlite://"
    assert environment["PYTHONPATH"] == "/of/the/guest"


def test_a_guest_cannot_hide_from_who_ends_the_runs_processes(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's shell may be of another run: it is the run's own mark that counts."""
    monkeypatch.setenv(MARK, "of-another-run")

    assert guest(MARK)[MARK] == guest(**{MARK: "of-no-run"})[MARK] == "mark"


@pytest.mark.parametrize("place", [".venv", "venv", "src/.venv"])
def test_a_guest_has_the_python_of_its_own_project(
    place: str, guest: Guest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if its virtual environment was activated, and never that of the suite."""
    suite = str(Path(sys.prefix) / "bin")
    monkeypatch.setenv("PATH", f"{suite}:/usr/bin")
    venv = _venv(folder.parent / place)

    environment = guest()

    assert environment["PATH"] == f"{venv}/bin:/usr/bin"
    assert environment["VIRTUAL_ENV"] == str(venv)


def test_without_one_of_its_own_it_has_that_of_the_users_shell(
    guest: Guest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/of/the/user/bin:/usr/bin")
    (folder.parent / ".venv").mkdir()  # without a python in it

    assert guest()["PATH"] == "/of/the/user/bin:/usr/bin"
