"""A limit on how much more memory a running process and its children may take, and what kills it
there. Where a memory cgroup can be made, the kernel's OOM killer does. Elsewhere a watcher of the
harness does, as earlyoom or systemd-oomd would: from outside, by SIGKILL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

import psutil

from chaos.process.run_lock import RunLock, is_held

KERNEL, WATCHER = "oom_kill_by_the_kernel", "oom_kill_by_a_watcher"
"""The names of the two in the journal."""

_STALE = "chaos-run-*"
"""The prefix of the folders of runs, and so of their cgroups."""

_LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 5.0


class Limit(Protocol):
    """A limit in force."""

    @property
    def kind(self) -> str:
        """What enforces it: `KERNEL` or `WATCHER`."""

    def killed(self) -> str | None:
        """The evidence that it has killed the process; None if it has not."""

    def lift(self) -> None:
        """Remove the limit."""


@dataclass(frozen=True)
class Hierarchy:
    """Where memory cgroups are made, and the names of their files."""

    root: Path
    limit: str
    swap: str
    swap_limit: str | None
    """None: of memory and swap together, so the same as that of memory."""
    events: str


HIERARCHIES = (
    Hierarchy(Path("/sys/fs/cgroup"), "memory.max", "memory.swap.max", "0", "memory.events"),
    Hierarchy(
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        None,
        "memory.oom_control",
    ),
)
"""Version 2 and version 1."""


@dataclass(frozen=True)
class KernelLimit:
    """A memory cgroup with a process and its descendants: `npm start` needs little itself. Memory
    that they already have stays charged to their old cgroup, so the limit counts only new memory.
    """

    hierarchy: Hierarchy
    folder: Path
    origin: Path | None
    lock: RunLock
    kind: str = KERNEL

    @classmethod
    def on(cls, process: psutil.Process, more_bytes: int, hierarchy: Hierarchy, run: Path) -> Self:
        """Put the processes into a cgroup that is named by its run's folder. Raises OSError."""
        _remove_stale(hierarchy.root, run)
        folder = hierarchy.root / f"{run.name}-{process.pid}"
        origin, tree = _origin(process, hierarchy.root), _tree(process)
        folder.mkdir()
        lock = RunLock(folder)
        try:
            _write(folder / hierarchy.limit, str(more_bytes))
            with suppress(OSError):  # there is none where the kernel counts no swap
                _write(folder / hierarchy.swap, hierarchy.swap_limit or str(more_bytes))
            for each in tree:
                with suppress(ProcessLookupError):  # what the process started may have ended
                    _write(folder / "cgroup.procs", str(each.pid))
        except OSError:
            _move_back(folder, origin)
            lock.release()
            folder.rmdir()
            raise
        return cls(hierarchy, folder, origin, lock)

    def killed(self) -> str | None:
        """The kernel's own counter."""
        for line in (self.folder / self.hierarchy.events).read_text().splitlines():
            if line.startswith("oom_kill ") and line != "oom_kill 0":
                return f"the kernel's counter says {line} ({self.hierarchy.events})"
        return None

    def lift(self) -> None:
        """Move the processes that live back to their old cgroup, and remove this one."""
        self.lock.release()
        _move_back(self.folder, self.origin)
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:  # a process that has died in it is not quite gone yet
                if time.monotonic() > end:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return


@dataclass
class WatchedLimit:
    """A thread that checks every few milliseconds how much memory a process and its descendants
    have; it kills the largest of them, as the kernel does.
    """

    tree: Sequence[psutil.Process]
    most_bytes: int
    kind: str = WATCHER
    _seen: str | None = field(default=None, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)

    @classmethod
    def on(cls, process: psutil.Process, more_bytes: int) -> Self:
        """Begin to watch."""
        tree = _tree(process)
        found = cls(tree, sum(map(_rss_bytes, tree)) + more_bytes)
        threading.Thread(target=found._watch, name=f"oom {process.pid}", daemon=True).start()
        return found

    def killed(self) -> str | None:
        """What the watcher saw when it killed the process."""
        return self._seen

    def lift(self) -> None:
        """Stop watching."""
        self._over.set()

    def _watch(self) -> None:
        while self.tree[0].is_running() and not self._over.wait(_LOOK_SECONDS):
            rss_bytes = sum(map(_rss_bytes, self.tree))
            if rss_bytes > self.most_bytes:
                self._seen = f"it had {rss_bytes} bytes, with {self.most_bytes} allowed"
                with suppress(psutil.NoSuchProcess):
                    max(self.tree, key=_rss_bytes).kill()
                return


def limit_memory(process: psutil.Process, more_bytes: int, run: Path) -> Limit:
    """Let a process and its descendants take this much more memory. `run` is the folder of the run,
    which is removed with it: so the next run knows which limits are stale.
    """
    for hierarchy in HIERARCHIES:
        with suppress(OSError):
            return KernelLimit.on(process, more_bytes, hierarchy, run)
    return WatchedLimit.on(process, more_bytes)


def _tree(process: psutil.Process) -> Sequence[psutil.Process]:
    """A process and its descendants. Raises psutil.NoSuchProcess if it has ended."""
    return [process, *process.children(recursive=True)]


def _rss_bytes(process: psutil.Process) -> int:
    """Its memory; 0 if it has ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _move_back(folder: Path, origin: Path | None) -> None:
    """Move the processes of a cgroup back to where they came from."""
    procs = folder / "cgroup.procs"
    if origin is None or not procs.exists():  # there is none where the folder became no cgroup
        return
    for pid in procs.read_text().split():
        with suppress(OSError):  # it may have ended
            _write(origin / procs.name, pid)


def _remove_stale(root: Path, run: Path) -> None:
    """Remove the cgroups of runs whose folders are gone, unless they have a process or are locked:
    a run's folder may be behind other mounts.
    """
    for folder in root.glob(_STALE):
        if not run.with_name(folder.name.rpartition("-")[0]).exists() and not is_held(folder):
            with suppress(OSError):
                folder.rmdir()


def _origin(process: psutil.Process, root: Path) -> Path | None:
    """The cgroup of a hierarchy that a process is in."""
    return next((root / path.lstrip("/") for path in _paths(process, root)), None)


def _paths(process: psutil.Process, root: Path) -> Iterator[str]:
    for line in Path(f"/proc/{process.pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") or (not controllers and root.name != "memory"):
            yield path


def _write(file: Path, text: str) -> None:
    """Written in place: these files belong to the kernel, and cannot be created."""
    with file.open("r+") as opened:
        opened.write(text)
