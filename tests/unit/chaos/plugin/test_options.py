from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from chaos.environment.temporal import Topology
from chaos.plugin import options


def test_a_seed_stands_alone_or_for_a_range() -> None:
    assert list(options.seeds("7")) == [7]
    assert list(options.seeds("1-3")) == [1, 2, 3]


def test_topologies_are_those_that_there_are() -> None:
    assert tuple(Topology) == options.TOPOLOGIES


def test_families_are_a_targets_own() -> None:
    assert options.families("kill, slow-bank") == ("kill", "slow-bank")


def test_a_command_is_read_as_a_shell_would() -> None:
    assert options.command("sh -c 'my worker'") == ("sh", "-c", "my worker")


def test_the_others_are_read() -> None:
    assert options.count("12") == 12
    assert options.duration_seconds("7.5") == 7.5


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (options.seeds, ""),
        (options.seeds, "x"),
        (options.seeds, "-3"),
        (options.seeds, "3-"),
        (options.seeds, "3-1"),
        (options.seeds, "1-5000"),
        (options.seeds, "9" * 30),
        (options.families, "kill,Flood!"),
        (options.families, ""),
        (options.command, ""),
        (options.command, "'"),
        (options.command, "no-such-program-anywhere"),
        (options.duration_seconds, "soon"),
        (options.duration_seconds, "1"),
        (options.duration_seconds, "nan"),
        (options.count, "0"),
        (options.count, "many"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(
    read: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ArgumentTypeError, match=r"must|cannot|no program"):
        read(text)
