"""What this process may have of its machine: a container has less than there is, by its cgroup and
by those above it, of either version.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_ROOT = Path("/")


def processors(root: Path = _ROOT) -> float:
    """The processors that it may use, also by its affinity. At most what there are, and more than
    0.
    """
    return min([_affinity(), *_quotas(root)])


def memory_left(root: Path = _ROOT) -> int:
    """The bytes that it may still take. What the kernel has cached of files it gives back."""
    return min([psutil.virtual_memory().available, *_left(root)])


def _affinity() -> float:
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
    return float(len(affinity(0)) if affinity else os.cpu_count() or 1)


def _quotas(root: Path) -> Iterator[float]:
    for folder, is_new in _folders(root, "cpu"):
        if is_new:
            yield from _quota(_text(folder / "cpu.max").split())
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            yield from _quota([_text(folder / name) for name in names])


def _left(root: Path) -> Iterator[int]:
    for folder, is_new in _folders(root, "memory"):
        names = (
            ("memory.max", "memory.current", "inactive_file")
            if is_new
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        with suppress(ValueError):  # there is no such file, or `max`
            limit, used = (int(_text(folder / name)) for name in names[:2])
            yield max(limit - used + _stat(folder, names[2]), 0)


def _stat(folder: Path, name: str) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        found, _, value = line.partition(" ")
        if found == name:
            return int(value)
    return 0


def _folders(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """Those of the cgroups that bound it by a controller; whether each is of version 2."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield from ((folder, True) for folder in _upwards(mount, path))
        elif controller in controllers.split(","):
            yield from ((folder, False) for folder in _upwards(mount / controller, path))


def _upwards(mount: Path, path: str) -> Sequence[Path]:
    """The folders of a cgroup and of those above it. In a container the path may be the host's,
    where the root is the container's own.
    """
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    return [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _quota(numbers: Sequence[str]) -> Iterator[float]:
    with suppress(ValueError):  # there is no such file, or `max`
        quota, period = (int(number) for number in numbers)
        if quota > 0 and period > 0:  # -1: there is none
            yield quota / period


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""
