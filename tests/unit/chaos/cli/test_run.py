"""`chaos run`: what is a scenario's name, what goes to pytest, and what its help shows."""

from __future__ import annotations

import re

import pytest

from chaos.__main__ import main
from chaos.cli.run import scenario_names, split
from chaos.plugin import options
from tests.chaos.video.scenarios.catalogue import all_scenarios


@pytest.mark.parametrize(
    ("given", "own", "passed_on"),
    [
        (["run"], ["run"], []),
        (["run", "a", "b"], ["run", "a", "b"], []),
        (["run", "a", "-k", "b"], ["run", "a"], ["-k", "b"]),
        (["run", "--seed", "7"], ["run"], ["--seed", "7"]),
        (["run", "a", "--seed", "7", "--help"], ["run", "--help"], []),
        (["run", "-h"], ["run", "--help"], []),
        (["list", "--json"], ["list", "--json"], []),
        ([], [], []),
    ],
)
def test_from_its_first_option_on_all_goes_to_pytest(
    given: list[str], own: list[str], passed_on: list[str]
) -> None:
    assert [list(part) for part in split(given)] == [own, passed_on]


def test_the_names_are_those_of_the_catalogue() -> None:
    assert scenario_names() == sorted(scenario.name for scenario in all_scenarios())


def test_its_help_shows_all_options_of_the_suite_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    declared: list[str] = []
    options.add_options(lambda name, **_: declared.append(name))

    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])

    shown = re.findall(r"^  (?:-h, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert shown == ["--help", *declared]


def test_pytest_has_the_same_options(pytestconfig: pytest.Config) -> None:
    declared: list[str] = []
    options.add_options(lambda name, **_: declared.append(name))

    assert declared
    for name in declared:
        pytestconfig.getoption(name)  # raises ValueError where there is none
