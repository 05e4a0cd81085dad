"""A child process: start, signal, wait. Its exit is noticed at once and journaled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import signal
import site
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from chaos.evidence.journal import Event, Journal
from chaos.process.reaper import RUN_TAG, Reaper
from chaos.process.spawner import Spawner, SpawnerError
from chaos.process.started import Executed, Started, group_of
from chaos.process.waiting import wait_until, within

CANARY = "AIza-canary-"
"""The prefix of every API key that the harness makes up: in a file it shows a leaked secret."""

READY_INTERVAL_SECONDS = 0.05
"""Between two checks of a process that starts: each costs it, and the server, CPU time."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
IMPORT_PATH = str(Path(__file__).parents[2])
"""The folder in which the harness's processes find its modules."""

_VENVS = (".venv", "venv")
"""The usual folders of a project's virtual environment."""

_LINE_LENGTH = 400
_FRAME = re.compile(r"\s+at ")
"""Stack frames of JavaScript, Java and .NET, whose traces begin with the error; Python's end with
it.
"""
_GROUP_INTERVAL_SECONDS = 0.01
_DEADLY = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})


class ChildError(Exception):
    """A process did not start, or ended early. The message has its last lines."""


def child_environment(run_tag: str, home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """A clean environment, without the user's keys, proxies or Temporal settings."""
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        RUN_TAG: run_tag,
        "HOME": str(home),
        "PYTHONPATH": IMPORT_PATH,
        "PYTHONUNBUFFERED": "1",
        "PYTHONUSERBASE": site.getuserbase(),
        **extra,
    }


def guest_environment(
    run_tag: str,
    home: Path,
    extra: Mapping[str, str],
    passed: Sequence[str] = (),
    *,
    folder: Path,
) -> dict[str, str]:
    """The same for a program of the target that runs in `folder`: its path has nothing of the
    harness, and it gets the user's variables that are `passed`.

    `python` is that of the virtual environment of its project, where this has one; else the first
    on the user's PATH, as in the user's own shell.
    """
    given = child_environment(run_tag, home, {})
    del given["PYTHONPATH"]
    own = {name: os.environ[name] for name in passed if name in os.environ}
    activated = _activated(folder, given.get("PATH", os.defpath))
    return {**given, **activated, **own, **extra, RUN_TAG: run_tag}


def _activated(folder: Path, path: str) -> dict[str, str]:
    """The variables that the activation of a project's virtual environment sets, if it has one."""
    places = (each / name for each in (folder, nearest_project(folder)) for name in _VENVS)
    found = next((place for place in places if (place / "bin" / "python").exists()), None)
    if found is None:
        return {}
    suite = str(Path(sys.prefix) / "bin")
    others = [each for each in path.split(os.pathsep) if each != suite]
    return {"PATH": os.pathsep.join([str(found / "bin"), *others]), "VIRTUAL_ENV": str(found)}


def nearest_project(folder: Path) -> Path:
    """The root of the project that a folder belongs to, by its `pyproject.toml`; else itself."""
    roots = (each for each in (folder, *folder.parents) if (each / "pyproject.toml").is_file())
    return next(roots, folder)


@contextlib.contextmanager
def spawning(
    reaper: Reaper, preload: Sequence[str] = (), folder: Path | None = None
) -> Iterator[Spawner]:
    """What starts Python programs by fork while a reaper is there. It has imported `preload`, which
    is found from `folder`; without it, its imports wait until the first is started.
    """
    environment = child_environment(reaper.run_tag, reaper.folder, {})
    spawner = Spawner(environment, folder or reaper.folder, preload)
    if preload:
        spawner.begin()
    try:
        yield spawner
    finally:
        spawner.close()


class _Rights(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _rights(user: str | None) -> _Rights:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass
class Child:
    """One process under a name that stays the same over its restarts.

    `user` is whose rights it gets, for programs that refuse root's; None: those of the run. The
    suite's own programs are started by the `spawner`, where there is one. One that `is_group` is
    all that its command line starts, such as a shell and the program that this runs: a signal goes
    to the whole process group, and it has ended when all of that has. `version` is which of the
    target's builds it is, if any; `identities` are those under which it was seen to poll.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    journal: Journal
    user: str | None = None
    spawner: Spawner | None = None
    is_group: bool = False
    version: str | None = None
    _process: Started | None = field(default=None, init=False)
    identities: tuple[str, ...] = field(default=(), init=False)
    _was_ended: bool = field(default=False, init=False)
    _exited: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def pid(self) -> int:
        """The process id of the newest start."""
        return self._running().pid

    @property
    def group(self) -> Sequence[int]:
        """All processes that belong to it now."""
        return group_of(self.pid) if self.is_group else (self.pid,)

    @property
    def is_alive(self) -> bool:
        """Whether the newest start is not known to have ended."""
        return self._process is not None and not self._exited.is_set()

    def start(self) -> None:
        """Start it, in a session of its own, so that Ctrl-C reaches only the run itself. Raises
        ChildError where there is no such program.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        exited = self._exited = asyncio.Event()
        self._was_ended = False
        process = self._process = self._forked() or self._executed()
        self.journal.add(Event.STARTED, target=self.name, pid=process.pid)
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=self._watch, args=(process, exited, loop), name=f"watch {self.name}", daemon=True
        ).start()

    def _forked(self) -> Started | None:
        """None if it has to be started without the spawner."""
        if self.spawner is None or self.user is not None or not self.spawner.may_start(self.argv):
            return None
        with contextlib.suppress(SpawnerError):
            return self.spawner.start(self.argv, self.environment, self.folder, self.log)
        return None

    def _executed(self) -> Started:
        try:
            with self.log.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - no shell, and the callers name the programs
                    list(self.argv),
                    env=dict(self.environment),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    **_rights(self.user),
                )
        except (FileNotFoundError, PermissionError) as error:
            raise ChildError(
                f"{self.name} cannot be started, because {error.filename} cannot be executed "
                f"({error.strerror}): build or install it, or correct the command line."
            ) from None
        return Executed(process)

    async def start_ready(
        self,
        answers: Callable[[], Awaitable[bool]],
        *,
        what: str,
        deadline_seconds: float,
        identities: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """Start it and wait until `answers` is true. Raises ChildError if it ends instead.
        `identities` returns the names under which it polls, for the journal.
        """

        async def is_ready() -> bool:
            self.require_alive()
            return await answers()

        self.start()
        await wait_until(
            is_ready,
            what=what,
            deadline_seconds=deadline_seconds,
            interval_seconds=READY_INTERVAL_SECONDS,
        )
        known = self.identities = tuple(identities())
        self.journal.add(
            Event.READY, target=self.name, pid=self.pid, identities=known, version=self.version
        )

    def _watch(
        self, process: Started, exited: asyncio.Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        end = process.wait()
        # What ends of itself has ended; of what is ended, the last one counts.
        while self.is_group and self._was_ended and group_of(process.pid):
            time.sleep(_GROUP_INTERVAL_SECONDS)
        self.journal.add(
            Event.EXITED,
            target=self.name,
            pid=process.pid,
            exit_code=end.code if end else None,
            cpu_seconds=end.cpu_seconds if end else None,
        )
        if not loop.is_closed():
            loop.call_soon_threadsafe(exited.set)

    def send(self, number: signal.Signals) -> None:
        """Send a signal. Raises ChildError if the process has ended."""
        process = self._running()
        others = [pid for pid in self.group if pid != process.pid]
        along = f" and, of its group, {', '.join(map(str, others))}" if others else ""
        self.journal.add(
            Event.SIGNALED,
            f"{number.name} to {self.name} (pid {process.pid}{along})",
            target=self.name,
            pid=process.pid,
            signal=number.name,
        )
        try:
            self._signal(number)
        except ProcessLookupError:
            raise ChildError(f"{self.name} had ended before it got {number.name}.") from None

    def _signal(self, number: signal.Signals) -> None:
        self._was_ended |= number in _DEADLY
        if self.is_group:
            self._running().send_to_group(number)
        else:
            self._running().send_signal(number)

    async def until_ended(self) -> None:
        """Wait for the end of the newest start, without a deadline."""
        await self._exited.wait()

    async def wait(self, deadline_seconds: float) -> int:
        """Wait for the exit and return its code (negative: the signal that ended it)."""
        async with within(f"{self.name} ends", deadline_seconds):
            await self._exited.wait()
        end = self._running().wait()
        if end is None:
            raise ChildError(
                f"{self.name} has ended, and so has the process that knew its exit code."
            )
        return end.code

    async def kill(self, deadline_seconds: float = 10) -> None:
        """SIGKILL, and wait until it has ended."""
        self.send(signal.SIGKILL)
        await self.wait(deadline_seconds)

    async def terminate(self, deadline_seconds: float = 40) -> None:
        """SIGTERM, and wait until it has ended."""
        self.send(signal.SIGTERM)
        await self.wait(deadline_seconds)

    def pause(self) -> None:
        """SIGSTOP: it lives and does nothing."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)

    async def discard(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it at the end of a run; the journal has no fault for that."""
        if self.is_alive or (self.is_group and self._process):  # some may have outlived the first
            with contextlib.suppress(ProcessLookupError, ChildError):
                self._signal(number)
                await self.wait(10)

    def last_lines(self, count: int = 5) -> str:
        """The end of its log without the frames of stack traces, for error messages."""
        if not self.log.exists():
            return "(no log)"
        said = self.log.read_text(errors="replace").splitlines()
        lines = [line for line in said if line.strip() and not _FRAME.match(line)][-count:]
        # Temporal's servers put a whole stack trace into each.
        return "\n".join(line[:_LINE_LENGTH] for line in lines) or "(silent)"

    def _running(self) -> Started:
        if self._process is None:
            raise ChildError(f"{self.name} was never started.")
        return self._process

    def require_alive(self) -> None:
        """Raise ChildError with its last lines where it has ended."""
        if not self.is_alive:
            raise ChildError(f"{self.name} ended before it was ready:\n{self.last_lines()}")
