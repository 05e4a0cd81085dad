"""What the programs of the two proxies have in common: options, limits, errors."""

from __future__ import annotations

import argparse
import resource
import sys
from typing import NoReturn

MISUSED = 2
FAILED = 1


class UsageError(Exception):
    """It cannot start; the message says why and what to do."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError in place of an exit."""

    def error(self, message: str) -> NoReturn:
        """Of the options."""
        raise UsageError(f"{message}. See --help for the options.")


def allow_many_files() -> None:
    """Each connection takes two files, and many systems begin with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def complain(program: str, sentence: str) -> None:
    """Say why it ends."""
    print(f"{program}: {sentence}", file=sys.stderr)  # noqa: T201 - its user reads stderr
