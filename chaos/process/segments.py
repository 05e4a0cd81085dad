"""Segments of shared memory that a killed PostgreSQL leaves in the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from pathlib import Path

_SEGMENTS = Path("/proc/sysvipc/shm")
_LOCK_FILE_BYTES = 4096
"""More than PostgreSQL ever writes into its lock file."""

_REMOVE = 0
"""IPC_RMID of the C library."""


def drop_shared_memory(folder: Path) -> None:
    """Remove the shared memory that a killed PostgreSQL below a folder leaves in the kernel. Its
    lock file names the segment, but may be a copy or made up. So the segment must have the key that
    PostgreSQL makes of its data folder's number, and no process may be attached to it.
    """
    for file in folder.rglob("postmaster.pid"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            data, number = file.parent, _segment_of(file)
            if number in _unused_segments(key=data.stat().st_ino, owner=data.stat().st_uid):
                ctypes.CDLL(None).shmctl(number, _REMOVE, None)


def _segment_of(lock_file: Path) -> int:
    """The number of the segment: the last field of the seventh line. Raises OSError, ValueError and
    IndexError where that is no lock file.
    """
    handle = os.open(lock_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(lock_file)
        text = os.read(handle, _LOCK_FILE_BYTES).decode()
    finally:
        os.close(handle)
    return int(text.splitlines()[6].split()[-1])


def _unused_segments(*, key: int, owner: int) -> set[int]:
    """The numbers of the segments that have this key and owner, and nobody attached."""
    names, *lines = (line.split() for line in _SEGMENTS.read_text().splitlines())
    rows = [dict(zip(names, map(int, line), strict=True)) for line in lines]
    key &= 0xFFFFFFFF
    return {
        row["shmid"]
        for row in rows
        if (row["key"] & 0xFFFFFFFF, row["uid"], row["nattch"]) == (key, owner, 0)
    }
