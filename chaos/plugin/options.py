"""What a user may give on a command line, read and checked. Imports nothing heavy: help uses it."""

from __future__ import annotations

import shlex
import shutil
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from chaos.evidence import numbers
from chaos.evidence.numbers import is_whole, quoted

DEFAULT_BUDGET_USD = Decimal("15.00")
DEFAULT_WORKFLOWS = 5
DEFAULT_SEEDED_WORKFLOWS = 30
DEFAULT_DURATION_SECONDS = 60.0
MOST_SEEDS = 1000

PREFIX = "--"
"""Of all options."""

FAMILIES = ("kill", "network", "server", "service")
"""As `chaos.faults.Family` has them, which takes a second to import; targets have others."""

Add = Callable[..., object]
"""`addoption` of a group of pytest's, or `add_argument` of argparse: they take the same."""


def amount(text: str) -> Decimal:
    """Dollars. This and the others raise ArgumentTypeError."""
    if not 0 < numbers.number(text) < 100_000:
        raise ArgumentTypeError(f"must be an amount in USD, such as 15.00, not {quoted(text)}")
    return Decimal(text)


count = numbers.whole(1, 1000)
"""A number of workflows."""


def command(text: str) -> tuple[str, ...]:
    """A program and its arguments, as a shell would read them."""
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise ArgumentTypeError(f"cannot be read as a command: {error}") from None
    if not argv:
        raise ArgumentTypeError("must name a program")
    if shutil.which(argv[0]) is None:
        raise ArgumentTypeError(f"there is no program {argv[0]!r} that could be run")
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
    """Kinds of faults, with commas between them; which there are, the target says."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ArgumentTypeError(f"must be names with commas between them, not {quoted(text)}")
    return names


def duration_seconds(text: str) -> float:
    """How long faults come."""
    seconds = numbers.number(text)
    if not 5 <= seconds <= 3600:
        raise ArgumentTypeError(f"must be a number of seconds from 5 to 3600, not {quoted(text)}")
    return seconds


def add_options(declare: Add, prefix: str = PREFIX) -> None:
    """Declare the options of a run: for pytest, and for the help of `python -m chaos run`."""

    def add(name: str, **more: object) -> None:
        declare(name.replace("--", prefix, 1), **more)

    _add_where(add)
    _add_what(add)
    _add_seeded(add)
    _add_live(add)


def _add_where(add: Add) -> None:
    add(
        "--temporal-cli",
        type=Path,
        metavar="PATH",
        help="the `temporal` program to use (default: found or installed)",
    )
    add(
        "--topology",
        choices=("dev", "postgres", "external"),
        default="dev",
        help="what Temporal is: one dev server; a process for each role, on PostgreSQL; "
        "or the cluster that the TEMPORAL_* variables name (default: dev)",
    )
    add(
        "--temporal-server",
        type=Path,
        metavar="PATH",
        help="the `temporal-server` program for --topology postgres (default: found or installed)",
    )


def _add_what(add: Add) -> None:
    add(
        "--workflows",
        type=count,
        metavar="N",
        help=f"workflows in the concurrency scenario (default: {DEFAULT_WORKFLOWS}), "
        f"or in each seeded schedule (default: {DEFAULT_SEEDED_WORKFLOWS})",
    )
    add(
        "--reports",
        type=Path,
        metavar="FOLDER",
        help="where runs are kept (default: reports/ beside pyproject.toml)",
    )
    add(
        "--worker-command",
        type=command,
        metavar="'PROGRAM …'",
        help="the worker that is started and broken (default: python -m workflows.worker)",
    )
    add("--plain", action="store_true", help="no live view on a terminal: a line for each event")


def _add_seeded(add: Add) -> None:
    add(
        "--seed",
        type=seeds,
        metavar="N[-M]",
        help="instead of the scenarios: faults drawn at random, from this seed or each of these",
    )
    add(
        "--faults",
        type=families,
        metavar="KIND,…",
        help=f"with --seed: of {', '.join(FAMILIES)} and the target's own (default: all)",
    )
    add(
        "--duration",
        type=duration_seconds,
        metavar="SECONDS",
        help=f"with --seed: how long faults come (default: {DEFAULT_DURATION_SECONDS:g})",
    )
    add(
        "--replay",
        type=Path,
        metavar="RUN",
        help="instead of the scenarios: the schedules of a run that was made with --seed",
    )


def _add_live(add: Add) -> None:
    add(
        "--live",
        action="store_true",
        help="pay the real API (GEMINI_API_KEY); says what it will cost, and asks",
    )
    add(
        "--budget",
        type=amount,
        metavar="USD",
        help=f"the most that a live run may pay (default: {DEFAULT_BUDGET_USD})",
    )
    add("--yes", action="store_true", help="do not ask before a live run pays")
