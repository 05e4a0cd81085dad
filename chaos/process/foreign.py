"""A command of the user's, such as kubectl: it is run to its end, with a deadline, and quoted."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.text import plain
from chaos.process.waiting import DeadlineExceededError, wait_until

MOST_BYTES = 64 * 1024
"""Of the output of one command: its end is kept."""

_END_SECONDS = 10.0
_LONGEST_LINE = 300


@dataclass(frozen=True)
class Ended:
    """A command that is over. `code` is negative where a signal ended it, and None where it did not
    end in time, or could not be started; `why` says the last two in words.
    """

    code: int | None
    output: str
    why: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0

    def __str__(self) -> str:
        """How it ended, and its last line."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        said = f": {plain(lines[-1], _LONGEST_LINE)}" if lines else ""
        return f"{self.why or f'ended with code {self.code}'}{said}"


def shown(argv: Sequence[str]) -> str:
    """A command line as it can be typed into a shell."""
    return shlex.join(argv)


async def run_to_end(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: Path,
    deadline_seconds: float,
) -> Ended:
    """Run it, without a shell, in a session of its own; `output` is a scratch file. What it leaves
    in the background is not waited for. At the deadline, or where this is cancelled, its process
    group is killed.
    """
    try:
        with output.open("ab") as written:
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - it begins at once; without a shell
                list(argv),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        reason = f"could not be started ({error.strerror}: {error.filename})"
        return Ended(None, "", f"{reason}; install it, or correct the command")
    try:
        await wait_until(
            lambda: process.poll() is not None, what=argv[0], deadline_seconds=deadline_seconds
        )
    except DeadlineExceededError:
        await _kill(process)
        return Ended(None, _end_of(output), f"did not end within {deadline_seconds:g} s")
    except BaseException:
        await _kill(process)
        raise
    return Ended(process.returncode, _end_of(output))


async def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await wait_until(
        lambda: process.poll() is not None, what="its end", deadline_seconds=_END_SECONDS
    )


def _end_of(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - MOST_BYTES))
        return file.read().decode(errors="replace")
