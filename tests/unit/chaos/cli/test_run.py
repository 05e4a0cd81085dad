"""`chaos run`: what is a scenario's name, what goes to pytest, and what its help shows."""

from __future__ import annotations

import re

import pytest

from chaos.__main__ import main
from chaos.cli.run import for_pytest, split
from chaos.plugin import options
from chaos.plugin.options import PREFIX


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


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([], []),
        (["--topology", "postgres"], [f"{PREFIX}topology", "postgres"]),
        (
            ["--replay=reports/latest", "--plain"],
            [f"{PREFIX}replay=reports/latest", f"{PREFIX}plain"],
        ),
        (
            ["-k", "a", "--durations=3", "--no-such-option"],
            ["-k", "a", "--durations=3", "--no-such-option"],
        ),
    ],
)
def test_the_harness_options_have_their_long_names_in_pytest(
    given: list[str], passed_on: list[str]
) -> None:
    """What is not its own goes on as it is."""
    assert for_pytest(given) == passed_on


def test_its_help_shows_all_options_of_the_suite_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    declared: list[str] = []
    options.add_options(lambda name, **_: declared.append(name), "--")

    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])

    shown = re.findall(r"^  (?:-h, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    of_campaigns = ["--on", "--evidence", "--queue", "--keep", "--minutes"]
    assert shown == ["--help", *declared, *of_campaigns]


def test_pytest_has_the_same_options(pytestconfig: pytest.Config) -> None:
    declared: list[str] = []
    options.add_options(lambda name, **_: declared.append(name))

    assert declared
    for name in declared:
        pytestconfig.getoption(name)  # raises ValueError where there is none
