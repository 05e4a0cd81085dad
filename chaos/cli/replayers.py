"""Replayers: programs that read the name of a history's file from each line of their standard
input, replay it, and answer with a line of JSON, `{"file": NAME, "failure": ""}`, or why it does
not replay. They end when their input ends. What else they print is passed over.
"""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.cli import UnusableError
from chaos.evidence.exported import Exported
from chaos.evidence.text import plain
from chaos.invariants.replaying import SLOW
from chaos.process.reaper import Reaper
from chaos.process.waiting import DeadlineExceededError, within

_ANSWER_SECONDS = 120.0
"""For one history. A worker of Temporal's own SDKs needs milliseconds; one whose code waits for a
local activity waits for most of a workflow task's time, which is 10 s unless it is set."""
_LINE_BYTES = 16 * 1024 * 1024
_AHEAD = 8
"""Files that a replayer has at once: some read the next before they answer to one."""
_EACH = 40
"""Replays that are worth a process more."""


@dataclass(frozen=True)
class Replay:
    """A history of which a worker had got so many events, and why that does not replay."""

    history: Exported
    length: int
    failure: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether these are all events of the history."""
        return self.length == len(self.history.events)


async def replay_all(argv: Sequence[str], histories: Sequence[Exported]) -> Sequence[Replay]:
    """Every history, whole and up to each of its workflow tasks, in as many processes as there are
    processors. Raises UnusableError where a replayer does not answer.
    """
    asked = [Replay(history, length) for history in histories for length in history.lengths]
    with Reaper() as reaper:
        crew = _Crew(argv, reaper.folder, {**os.environ, **reaper.environment})
        count = min(os.cpu_count() or 1, 1 + len(asked) // _EACH)
        answered = await crew.replay(asked, count)
        # Code that took too long by the clock may have waited for a processor: once more, alone.
        slow = [Replay(each.history, each.length) for each in answered if SLOW in each.failure]
        again = {(each.history.file, each.length): each for each in await crew.replay(slow, 1)}
        return [again.get((each.history.file, each.length), each) for each in answered]


@dataclass(frozen=True)
class _Crew:
    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    async def replay(self, asked: Sequence[Replay], processes: int) -> Sequence[Replay]:
        waiting, answered = iter(asked), list[Replay]()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(processes if asked else 0):
                    group.create_task(self._work(number, waiting, answered))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return answered

    async def _work(self, number: int, asked: Iterator[Replay], answered: list[Replay]) -> None:
        log = self.folder / f"replayer-{number}.log"
        with log.open("wb") as errors:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=errors,
                    limit=_LINE_BYTES,
                    env=self.environment,
                )
            except OSError as error:
                raise UnusableError(
                    f"{self.argv[0]} cannot be started ({error.strerror}): name a program that "
                    "replays the histories whose names it reads."
                ) from None
        if not process.stdin:
            raise RuntimeError("it was started with a pipe")
        open_: dict[str, Replay] = {}
        try:
            for count, each in enumerate(asked):
                file = self.folder / f"{number}-{count}.json"
                _write(file, each.history.up_to(each.length))
                open_[str(file)] = each
                if not process.stdin.is_closing():  # else it has ended, as its output tells
                    with suppress(ConnectionError):
                        process.stdin.write(f"{file}\n".encode())
                        await process.stdin.drain()
                if len(open_) >= _AHEAD:
                    answered.append(await _answer(process, log, open_))
            process.stdin.close()
            while open_:
                answered.append(await _answer(process, log, open_))
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            # What it has left in the background, such as a build's server, may hold its output. The
            # whole transport is not closed: that polls the process, which asyncio waits for.
            process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public closes a pipe that is read
            if not process.stdin.is_closing():
                process.stdin.transport.abort()
            await process.wait()


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise UnusableError(
            f"the folder for temporary files {file.parent.parent} cannot be written to "
            f"({error.strerror}): make room there, or name another by TMPDIR."
        ) from None


async def _answer(process: Process, log: Path, open_: dict[str, Replay]) -> Replay:
    """The next answer to one of the files that are open."""
    if not (output := process.stdout):
        raise RuntimeError("it was started with a pipe")
    first = next(iter(open_.values()))
    what = f"{first.history.file.name} up to event {first.length}"
    try:
        async with within(what, _ANSWER_SECONDS):
            async for line in output:
                file, failure = _read(line)
                if each := open_.pop(file, None):
                    os.unlink(file)  # noqa: PTH108 - a path's own would block no less
                    return Replay(each.history, each.length, failure)
    except ValueError:
        raise UnusableError(
            f"the replayer wrote a line of more than {_LINE_BYTES // (1024 * 1024)} MB at {what}: "
            'it must print one line for each name that it reads, {"file": NAME, "failure": ""}.'
        ) from None
    except DeadlineExceededError:
        raise UnusableError(
            f"the replayer gave no answer to {what} within {_ANSWER_SECONDS:g} s: it must print "
            'one line for each name that it reads, {"file": NAME, "failure": ""}, at once.'
        ) from None
    raise UnusableError(
        f"the replayer ended with exit code {await process.wait()} at {what}, before it answered"
        f"{_last_words(log)}"
    )


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f": {plain(lines[-1], 300)}" if lines else "."


def _read(line: bytes) -> tuple[str, str]:
    """The file and its failure; no file where a line is no answer, but a log's or whatever."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    return str(answer.get("file")), str(answer.get("failure") or "")
