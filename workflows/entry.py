"""What the programs of this package share at their start and at their end."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn, Protocol

from dotenv import load_dotenv

from workflows.settings import SettingsError


class Stream(Protocol):
    """Where log lines can be written to."""

    def write(self, text: str, /) -> object:
        """Write it."""

    def flush(self) -> object:
        """Hold nothing back."""


def set_up_logging(stream: Stream | None = None) -> None:
    """Lines on standard error or another stream, each with its time."""
    handler = logging.StreamHandler(stream or sys.stderr)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[handler],
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every poll
    logging.getLogger("google_genai._api_client").addFilter(_is_no_word_of_two_keys)


def _is_no_word_of_two_keys(record: logging.LogRecord) -> bool:
    """The client says that it uses GOOGLE_API_KEY, which is not so where it is given the other."""
    return not record.getMessage().startswith("Both GOOGLE_API_KEY and GEMINI_API_KEY are set.")


def load_dotenv_file() -> None:
    """Add what `.env` in the working folder says to the environment, which counts more.

    Raises SettingsError.
    """
    file = Path.cwd() / ".env"
    try:
        load_dotenv(file)
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{file} cannot be read; fix it, or move it away.") from None


def repair_streams() -> None:
    """Put the null device in the place of each standard stream that whoever started us has closed.

    Else the next file or connection gets its number, and what is logged would go there.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    # Python has none for a descriptor that was closed when it began.
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, and it stays
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it stays
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - it stays


def complain(sentence: str) -> None:
    """A sentence on standard error. That nobody can read it changes no exit code."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def leave(exit_code: int) -> NoReturn:
    """End the process without the interpreter's own end.

    That one may meet a thread of the SDK's native runtime which is still busy with its last call,
    and then it aborts (exit code 134) with a "Fatal Python error" below our own sentence.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads any more
            stream.flush()
    os._exit(exit_code)
