"""What a child process finds in its environment: a program of ours, and one of a guest's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chaos.process.child import IMPORT_PATH, child_environment, guest_environment
from chaos.process.reaper import RUN_TAG

HOME = Path("/scratch")
of_a_guest = partial(guest_environment, folder=Path("/of/the/guest"))


@pytest.fixture(autouse=True)
def users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user may have set, and a guest's worker must not get by itself."""
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    monkeypatch.setenv("GUEST_DATABASE", "postgres://guest")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "prod:7233")
    monkeypatch.setenv("PATH", "/usr/bin")


def test_a_program_of_ours_finds_the_suite() -> None:
    assert child_environment("tag", HOME, {})["PYTHONPATH"] == IMPORT_PATH


def test_a_guests_program_finds_no_path_of_the_suite() -> None:
    environment = of_a_guest("tag", HOME, {})

    assert "PYTHONPATH" not in environment
    assert not [name for name, value in environment.items() if IMPORT_PATH in value.split(":")]


@pytest.mark.parametrize("environment", [child_environment, of_a_guest])
def test_nothing_of_the_users_gets_in_by_itself(
    environment: Callable[..., dict[str, str]],
) -> None:
    found = environment("tag", HOME, {})

    assert not {"GUEST_DATABASE", "TEMPORAL_ADDRESS"} & found.keys()
    assert (found[RUN_TAG], found["HOME"], found["PATH"]) == ("tag", "/scratch", "/usr/bin")


def test_a_guest_gets_the_variables_that_it_asks_for_where_the_user_has_set_them() -> None:
    environment = of_a_guest("tag", HOME, {}, ("GUEST_DATABASE", "NOT_SET", "PYTHONPATH"))

    assert environment["GUEST_DATABASE"] == "postgres://guest"
    assert environment["PYTHONPATH"] == "/of/the/user"
    assert "NOT_SET" not in environment


def test_what_a_case_sets_wins_over_what_the_user_has_set() -> None:
    settings = {"GUEST_DATABASE": "sqlite://", "PYTHONPATH": "/of/the/guest"}

    environment = of_a_guest("tag", HOME, settings, ("GUEST_DATABASE", "PYTHONPATH"))

    assert environment["GUEST_DATABASE"] == "sqlite://"
    assert environment["PYTHONPATH"] == "/of/the/guest"


def test_a_guest_cannot_hide_from_who_ends_the_runs_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The user's shell may be of another run: it is the run's own mark that counts."""
    monkeypatch.setenv(RUN_TAG, "of-another-run")

    assert of_a_guest("tag", HOME, {}, (RUN_TAG,))[RUN_TAG] == "tag"
