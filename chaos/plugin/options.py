"""What a user may give on a command line, read and checked. Imports nothing heavy: help uses it."""

from __future__ import annotations

import re
import shlex
import shutil
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path

from chaos.evidence import numbers
from chaos.evidence.numbers import is_whole, quoted

DEFAULT_WORKFLOWS = 5
DEFAULT_SEEDED_WORKFLOWS = 30
DEFAULT_DURATION_SECONDS = 60.0
DEFAULT_TOPOLOGY = "dev"
TOPOLOGIES = (DEFAULT_TOPOLOGY, "postgres", "external")
"""As `chaos.environment.temporal.Topology` has them, which takes a second to import."""
MOST_SEEDS = 1000

PREFIX = "--chaos-"
"""Of all options, so that they meet no other plugin's."""

Add = Callable[..., object]
"""`addoption` of a group of pytest's, or `add_argument` of argparse: they take the same."""

count = numbers.whole(1, 1000)
"""A number of workflows."""


def command(text: str) -> tuple[str, ...]:
    """A program and its arguments, as a shell would read them.

    This and the others raise ArgumentTypeError.
    """
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise ArgumentTypeError(f"cannot be read as a command: {error}") from None
    if not argv:
        raise ArgumentTypeError("must name a program")
    if shutil.which(argv[0]) is None:
        raise ArgumentTypeError(f"there is no program {argv[0]!r} that can be executed")
    return argv


def seeds(text: str) -> Sequence[int]:
    """One seed, or a range of them."""
    first, dash, last = text.partition("-")
    if not is_whole(first) or (dash and not is_whole(last)):
        raise ArgumentTypeError(
            f"must be a seed such as 7, or a range such as 1-10, not {quoted(text)}"
        )
    chosen = range(int(first), int(last or first) + 1)
    if not 1 <= len(chosen) <= MOST_SEEDS:
        raise ArgumentTypeError(f"must be a range of 1 to {MOST_SEEDS} seeds, not {quoted(text)}")
    return chosen


def families(text: str) -> Sequence[str]:
    """Kinds of faults, with commas between them; which there are, a target says."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(re.fullmatch(r"[a-z][a-z0-9_-]*", name) for name in names):
        raise ArgumentTypeError(f"must be kinds of faults such as kill,network, not {quoted(text)}")
    return names


def duration_seconds(text: str) -> float:
    """How long faults come."""
    seconds = numbers.number(text)
    if not 5 <= seconds <= 3600:
        raise ArgumentTypeError(f"must be a number of seconds from 5 to 3600, not {quoted(text)}")
    return seconds


def add_options(add: Add, prefix: str = PREFIX) -> None:
    """Declare the options of a run: for pytest, and for the help of `python -m chaos run`.

    A project's own conftest may declare them a second time with a shorter prefix. Whatever it is,
    `chaos_topology` and so on are where the values are found; None was not given.
    """

    def declare(name: str, **more: object) -> None:
        dest = f"chaos_{name.replace('-', '_')}"
        add(f"{prefix}{name}", **{"dest": dest, "default": None, **more})

    _declare_where(declare)
    _declare_what(declare)
    _declare_seeded(declare, prefix)
    _declare_guide(declare)


def _declare_where(declare: Add) -> None:
    declare(
        "temporal-cli",
        type=Path,
        metavar="PATH",
        help="the `temporal` program to use (default: found or installed)",
    )
    declare(
        "topology",
        choices=TOPOLOGIES,
        help="what Temporal is: one dev server; a process for each role, on PostgreSQL; "
        f"or the cluster that the TEMPORAL_* variables name (default: {DEFAULT_TOPOLOGY})",
    )
    declare(
        "temporal-server",
        type=Path,
        metavar="PATH",
        help="the `temporal-server` program for the topology postgres (default: found or "
        "installed)",
    )


def _declare_what(declare: Add) -> None:
    declare(
        "workflows",
        type=count,
        metavar="N",
        help=f"workflows in a scenario of load (default: {DEFAULT_WORKFLOWS}), "
        f"or in each seeded schedule (default: {DEFAULT_SEEDED_WORKFLOWS})",
    )
    declare(
        "reports",
        type=Path,
        metavar="FOLDER",
        help="where runs are kept (default: reports/ beside pyproject.toml)",
    )
    declare(
        "worker-command",
        type=command,
        metavar="'PROGRAM …'",
        help="the worker that is started and broken (default: the target's own)",
    )
    declare("plain", action="store_true", help="no live view on a terminal: a line for each event")


def _declare_guide(declare: Add) -> None:
    declare(
        "guide",
        action="store_true",
        help="instead of the scenarios: those of Temporal's guide to pre-production testing, of "
        "the first target",
    )


def _declare_seeded(declare: Add, prefix: str) -> None:
    declare(
        "seed",
        type=seeds,
        metavar="N[-M]",
        help="instead of the scenarios: faults drawn at random, from this seed or each of these",
    )
    declare(
        "faults",
        type=families,
        metavar="KIND,…",
        help=f"with {prefix}seed: of the target's kinds, such as kill, network and server "
        "(default: all)",
    )
    declare(
        "duration",
        type=duration_seconds,
        metavar="SECONDS",
        help=f"with {prefix}seed: how long faults come (default: {DEFAULT_DURATION_SECONDS:g})",
    )
    declare(
        "replay",
        type=Path,
        metavar="RUN",
        help=f"instead of the scenarios: the schedules of a run that was made with {prefix}seed",
    )
