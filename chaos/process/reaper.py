"""A small process that briefly outlives the run and removes everything that it left.

`python -m chaos.process.reaper RUN_TAG` waits until its standard input ends, which happens when the
run's process has ended in any way. Then it kills all processes that carry the run tag in their
environment, and removes the run's temporary folder. Children of children inherit the tag, also one
that is started during the kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psutil

from chaos.process import is_linux
from chaos.process.segments import drop_shared_memory

RUN_TAG = "CHAOS_RUN_FOLDER"
"""The environment variable that all processes of a run carry."""

_PREFIX = "chaos-run-"
_NAME = re.compile(r"chaos-run-\d+-[0-9a-f]{8}")
_COMMAND = ("-m", "chaos.process.reaper")
_QUIET_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0
_CGROUPS = tuple(Path("/sys/fs/cgroup", each) for each in ("", "memory", "cpu", "cpuacct"))


class Reaper:
    """A run's temporary folder, its reaper process, and its tag. Use it by `with`.

    The tag is the folder's path. The folder stays locked while the run's process lives; a lock
    ends with its process, whatever happens to clocks and process ids.
    """

    def __init__(self) -> None:
        name = f"{_PREFIX}{os.getpid()}-{uuid4().hex[:8]}"
        self.folder = Path(tempfile.gettempdir()).resolve() / name
        self.run_tag = str(self.folder)

    @property
    def environment(self) -> Mapping[str, str]:
        """What every process of the run has in its environment."""
        return {RUN_TAG: self.run_tag}

    def __enter__(self) -> Self:
        sweep_stale()
        # Locked before it gets its name, or another run could take it for an abandoned one.
        nameless = self.folder.with_name(f".{self.folder.name}")
        nameless.mkdir(mode=0o700)
        # PostgreSQL, which runs as another user where the run is root's, must get through.
        nameless.chmod(0o711)
        self._lock = os.open(nameless, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        nameless.rename(self.folder)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, *_COMMAND, self.run_tag],
            cwd=Path(__file__).parents[2],
            # That of a run within another is not ended with the other's processes: it clears up.
            env={name: text for name, text in os.environ.items() if name != RUN_TAG},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing behind, also if the reaper process was killed or stopped."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=_PATIENCE_SECONDS)
        if self._process.returncode != 0:
            self._process.kill()
            self._process.wait()
            _clear_up(self.folder)
        os.close(self._lock)


def sweep(run_tag: str) -> None:
    """Kill all processes that carry the tag, until none is seen for a while."""
    last_seen = time.monotonic()
    end = last_seen + _PATIENCE_SECONDS
    while time.monotonic() - last_seen < _QUIET_SECONDS and time.monotonic() < end:
        for process, found in tagged_processes():
            if found == run_tag:
                with contextlib.suppress(psutil.Error):  # it has just ended, or is another user's
                    process.kill()
                last_seen = time.monotonic()
        time.sleep(_QUIET_SECONDS / 10)


def sweep_stale() -> None:
    """Clear up after runs whose process and reaper have both ended. Doubtful ones stay."""
    reaped = _with_reaper()
    found: defaultdict[str, list[psutil.Process]] = defaultdict(list)
    for process, tag in tagged_processes():
        found[tag].append(process)
    for folder in Path(tempfile.gettempdir()).resolve().glob(f"{_PREFIX}*"):
        found.setdefault(str(folder), [])
    for tag, processes in found.items():
        folder = Path(tag)
        is_named = folder.is_absolute() and _NAME.fullmatch(folder.name)
        if is_named and _is_abandoned(folder, processes, has_reaper=tag in reaped):
            sweep(tag)
            if _is_held(folder) is False:
                _remove(folder)


def _with_reaper() -> set[str]:
    """The tags of the runs whose reaper lives."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            *_, module, name, tag = ("", "", "", *process.cmdline())
            if (module, name) == _COMMAND:
                found.add(tag)
    return found


def _is_abandoned(folder: Path, processes: Sequence[psutil.Process], *, has_reaper: bool) -> bool:
    """Whether a run is dead, by its folder as its processes see it. A run may have other mounts
    than this process, and some of its processes others than the run. A folder that none of them
    sees is gone only if they have this process's mounts, and no reaper waits to remove it.
    """
    views = [folder, *(Path(f"/proc/{each.pid}/root{folder}") for each in processes)]
    held = [_is_held(view) for view in views]
    if True in held:
        return False
    return False in held or (not has_reaper and any(map(_sees_what_we_see, processes)))


def _sees_what_we_see(process: psutil.Process) -> bool:
    """Whether it has the mounts and the root of this process; only on Linux may they differ."""
    if not is_linux():
        return True
    own, its = Path("/proc/self"), Path(f"/proc/{process.pid}")
    with contextlib.suppress(OSError):
        same_mounts = (own / "ns/mnt").readlink() == (its / "ns/mnt").readlink()
        return same_mounts and (own / "root").samefile(its / "root")
    return False


def tagged_processes() -> list[tuple[psutil.Process, str]]:
    """The processes of all runs, each with its run's tag."""
    found = []
    for process in psutil.process_iter():
        try:
            tag = _tag_of(process)
        except (psutil.Error, OSError):
            continue
        if Path(tag).name.startswith(_PREFIX) and process.pid != os.getpid():
            found.append((process, tag))
    return found


def _tag_of(process: psutil.Process) -> str:
    environment = process.environ()
    if environment:
        return environment.get(RUN_TAG, "")
    # PostgreSQL's children write their titles over their environment, so they are recognized by the
    # folder that they work in. A user's shell in that folder has an environment, and is left alone.
    folder = Path(process.cwd())
    return next((str(f) for f in (folder, *folder.parents) if f.name.startswith(_PREFIX)), "")


def _drop_cgroups(folder: Path) -> None:
    """Remove the cgroups of a run, which has none of its processes in them any more. Whoever makes
    one, such as `chaos.environment.memory`, names it by the run's folder.
    """
    for root in _CGROUPS:
        for left in root.glob(f"{glob.escape(folder.name)}-*"):
            with contextlib.suppress(OSError):
                left.rmdir()


def _remove(folder: Path) -> None:
    drop_shared_memory(folder)
    _drop_cgroups(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _clear_up(folder: Path) -> None:
    sweep(str(folder))
    _remove(folder)


def _is_held(folder: Path) -> bool | None:
    """Whether the run with this folder may still be alive: then its folder is locked. None if there
    is no such folder.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        return True  # another user's, or no folder of a run
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            return True
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def main(run_tag: str) -> None:
    """Wait for the end of the run, then clear up."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    sys.stdin.buffer.read()
    _clear_up(Path(run_tag))


if __name__ == "__main__":
    main(sys.argv[1])
