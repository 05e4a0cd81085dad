"""A command of the user's, such as kubectl: it is run to its end, with a deadline, and quoted."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.text import plain
from chaos.process.waiting import DeadlineExceededError, wait_until

MOST_BYTES = 64 * 1024
"""Of the output of one command: its end is kept."""

MOST_WRITTEN_BYTES = 64 * 1024 * 1024
"""A command that writes more than this is ended, before it fills the disk."""

_LONGEST_SECRET = 16 * 1024
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


async def run_to_end(  # noqa: PLR0913 - each is named by its caller
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: Path,
    deadline_seconds: float,
    hide: Callable[[str], str] = str,
) -> Ended:
    """Run it, without a shell, in a session of its own; `output` is a scratch file, and `hide`
    takes secrets out of what was written there. What it leaves in the background is not waited for.
    At the deadline, where it writes without end, or where this is cancelled, its process group is
    killed.
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
        reason = hide(f"could not be started ({error.strerror}: {error.filename})")
        return Ended(None, "", f"{reason}; install it, or correct the command")
    except ValueError as error:  # a NUL
        return Ended(None, "", f"could not be started ({error}); correct the command")

    def is_over() -> bool:
        return process.poll() is not None or output.stat().st_size > MOST_WRITTEN_BYTES

    try:
        await wait_until(is_over, what=argv[0], deadline_seconds=deadline_seconds)
    except DeadlineExceededError:
        await _kill(process)
        return Ended(None, _end_of(output, hide), f"did not end within {deadline_seconds:g} s")
    except BaseException:
        await _kill(process)
        raise
    if process.returncode is None:
        await _kill(process)
        most = MOST_WRITTEN_BYTES // (1024 * 1024)
        return Ended(None, _end_of(output, hide), f"was ended, for it wrote more than {most} MB")
    return Ended(process.returncode, _end_of(output, hide))


async def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await wait_until(
        lambda: process.poll() is not None, what="its end", deadline_seconds=_END_SECONDS
    )


def _end_of(output: Path, hide: Callable[[str], str]) -> str:
    """Without the beginning of what was cut: the rest of a secret may stand there."""
    begin = max(0, output.stat().st_size - MOST_BYTES)
    with output.open("rb") as file:
        file.seek(begin)
        text = hide(file.read(MOST_BYTES).decode(errors="replace"))
    return text[_LONGEST_SECRET:] if begin else text
