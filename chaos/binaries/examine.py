"""Tells the Temporal CLI from anything else by running it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from chaos.binaries.child import Command, CommandTimeoutError, Finished, run
from chaos.binaries.model import Search, Source, TemporalCli, shorten

VERSION_TIMEOUT_SECONDS = 30.0

_VERSION = re.compile(
    r"^temporal version \S+ \(server v?(?P<server>\d[^\s,)]*)", re.IGNORECASE | re.MULTILINE
)


class UnusableError(Exception):
    """A file is not a working Temporal CLI. The message completes "it …"."""


def examine(path: Path, source: Source, search: Search) -> TemporalCli:
    """Run the file's `--version`. Raises UnusableError, and SearchCancelledError."""
    path = path.expanduser().absolute()
    _require_executable(path)
    answer = _ask_version(path, search)
    version = parse_server_version(answer.output)
    if not answer.is_success or version is None:
        said = shorten(answer.output.partition("\n")[0], 120) or "nothing"
        raise UnusableError(
            f"is not the Temporal CLI: --version printed {said} and ended with {answer.exit_code}"
        )
    return TemporalCli(path, shorten(answer.output), version, source)


def parse_server_version(answer: str) -> str | None:
    """The server's version in an answer to `--version`, None where it is not the CLI's."""
    found = _VERSION.search(answer)
    return found["server"] if found else None


def _require_executable(path: Path) -> None:
    if path.is_dir():
        raise UnusableError("is a folder")
    if not path.exists():
        raise UnusableError("does not exist")
    if not os.access(path, os.X_OK):
        raise UnusableError("is not executable")


def _ask_version(path: Path, search: Search) -> Finished:
    argv = [str(path), "--version"]
    try:
        return run(Command(argv=argv, timeout_seconds=VERSION_TIMEOUT_SECONDS), search)
    except CommandTimeoutError as error:
        raise UnusableError(f"does not answer --version: {shorten(str(error), 120)}") from None
    except OSError as error:
        raise UnusableError(f"cannot be run ({error.strerror})") from None
