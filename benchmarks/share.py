"""Half a core for a process and all that it starts, by a CPU cgroup of the kernel's.

So one machine can stand for several: each worker process has what a small machine has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000
_ENTER = 'echo $$ > "$1"; shift; exec "$@"'


@dataclass(frozen=True)
class Share:
    """A group of processes that may use `cores` together; what they start belongs to it. `folders`
    are those of the group, one for each hierarchy that it takes.
    """

    cores: float
    folders: Sequence[Path]

    def entering(self, argv: Sequence[str]) -> list[str]:
        """A command line that enters the group before it becomes this one, under the same pid."""
        for folder in self.folders:
            argv = ["sh", "-c", _ENTER, "sh", str(folder / "cgroup.procs"), *argv]
        return list(argv)

    @property
    def cpu_seconds(self) -> float:
        """What its processes have used until now, those that have ended included."""
        *_, last = self.folders
        usage = last / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        used = dict(line.split() for line in (last / "cpu.stat").read_text().splitlines())
        return int(used["usage_usec"]) / 1e6


@contextmanager
def share(name: str, cores: float) -> Iterator[Share | None]:
    """A group for a block, which ends its processes itself; None where this machine lets us make
    none. A run's reaper removes it as well if its name begins with that of the run's folder.
    """
    made = None
    for hierarchies in (("cpu", "cpuacct"), ("",)):
        with suppress(OSError):
            made = _made([CGROUPS / each / name for each in hierarchies], cores)
            break
    try:
        yield made
    finally:
        for folder in made.folders if made else ():
            with suppress(OSError):  # one that is there twice is gone; else the reaper removes it
                folder.rmdir()


def _made(folders: Sequence[Path], cores: float) -> Share:
    """Raises OSError where one of the hierarchies is not there, or not ours to write."""
    quota_us = round(cores * PERIOD_US)
    try:
        for folder in folders:
            folder.mkdir(exist_ok=True)  # of version 1, the two may be one hierarchy
        if (folders[0] / "cpu.max").exists():
            _write(folders[0] / "cpu.max", f"{quota_us} {PERIOD_US}")
        else:
            _write(folders[0] / "cpu.cfs_period_us", str(PERIOD_US))
            _write(folders[0] / "cpu.cfs_quota_us", str(quota_us))
    except OSError:
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        raise
    return Share(cores, folders)


def _write(file: Path, text: str) -> None:
    """Written in place: these files belong to the kernel, and cannot be created."""
    with file.open("r+") as opened:
        opened.write(text)
