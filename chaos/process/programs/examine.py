"""Tells a program from anything else by running it."""

from __future__ import annotations

import os
from pathlib import Path

from chaos.process.programs.child import Command, CommandTimeoutError, Finished, run
from chaos.process.programs.model import Binary, Program, Search, Source, shorten

VERSION_TIMEOUT_SECONDS = 30.0


class UnusableError(Exception):
    """A file is not the program that works. The message completes "it …"."""


def examine(path: Path, source: Source, search: Search) -> Binary:
    """Run the file's `--version`. Raises UnusableError, and SearchCancelledError."""
    path = path.expanduser().absolute()
    _require_executable(path)
    answer = _ask_version(path, search)
    version = parse_server_version(search.program, answer.output)
    if not answer.is_success or version is None:
        said = shorten(answer.output.partition("\n")[0], 120) or "nothing"
        raise UnusableError(
            f"is not the {search.program.title}: --version printed {said}"
            f" and ended with {answer.exit_code}"
        )
    return Binary(path, shorten(answer.output), version, source)


def parse_server_version(program: Program, answer: str) -> str | None:
    """The server's version in an answer to `--version`, None where it is not the program's."""
    found = program.answer.search(answer)
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
