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
        raise SettingsError(f"{file} cannot be read; mend it, or move it away.") from None


def leave(exit_code: int) -> NoReturn:
    """End the process without the interpreter's own end.

    That one may meet a thread of the SDK's native runtime which is still busy with its last call,
    and then it aborts (exit code 134) with a "Fatal Python error" below our own sentence.
    """
    logging.shutdown()
    with contextlib.suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(exit_code)
