"""Small disks of the harness, which can be filled without harm. Each is a tmpfs in a mount
namespace: nothing outside sees it, and it ends with the last process in there. `mounting` gives one
to the process that uses it; `SmallDisk` outlives those that do.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chaos.process import is_linux
from chaos.process.child import Child

SIZE_MIB = 48
FOLDER = "disk"
"""Its mount point, in the scratch folder of its stack."""

READY_DEADLINE_SECONDS = 30.0

_FILLER = "filler"
_MOUNT = 'mkdir -p "$1" && mount -t tmpfs -o "size=$0m" tmpfs "$1" && shift && exec "$@"'
_STEPS = (1 << 20, 1 << 12, 1)
"""Bytes per write; halved until not even one byte fits."""


@cache
def why_there_are_none() -> str | None:
    """Why this machine cannot mount a small disk; None where it can."""
    if not is_linux():
        return f"a small disk needs Linux's mount namespaces, and this is {platform.system()}"
    if not all(shutil.which(program) for program in ("unshare", "nsenter", "mount")):
        return "a small disk needs the programs unshare, nsenter and mount"
    test = ("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    tried = subprocess.run(test, check=False, capture_output=True, text=True)  # noqa: S603 - fixed
    if tried.returncode:
        return f"a small disk needs mount namespaces: {tried.stderr.strip()}"
    return None


def mounting(folder: Path, command: Sequence[str], size_mib: int = SIZE_MIB) -> Sequence[str]:
    """The command, in a mount namespace with an empty small disk at that folder."""
    return ("unshare", "-rm", "sh", "-c", _MOUNT, str(size_mib), str(folder), *command)


@dataclass(frozen=True)
class SmallDisk:
    """The small disk of a process that was started by `mounting`; `folder` is where those in its
    namespace find it.
    """

    owner: Child
    folder: Path

    @property
    def inside(self) -> Path:
        """The path by which all processes find it, as long as the owner lives."""
        return Path(f"/proc/{self.owner.pid}/root{self.folder}")

    @property
    def is_mounted(self) -> bool:
        """Whether it is mounted."""
        return os.path.ismount(self.inside)

    async def hold(self) -> None:
        """Start the owner and wait until the disk is mounted. Raises ChildError."""

        async def is_there() -> bool:
            return self.is_mounted

        await self.owner.start_ready(
            is_there,
            what=f"{self.owner.name} is mounted",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    def entering(self, command: Sequence[str]) -> Sequence[str]:
        """The command, in the namespace of the owner, where its folder is the same."""
        enter = ("nsenter", "--target", str(self.owner.pid), "--user", "--mount")
        folder = ("env", f"--chdir={self.owner.folder}")
        return (*enter, "--preserve-credentials", *folder, *command)

    def fill(self) -> None:
        """Write until the disk is full."""
        handle = os.open(self.inside / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in _STEPS:
                _write_until_full(handle, bytes(size))
        finally:
            os.close(handle)

    def make_room(self) -> None:
        """Remove what `fill` wrote."""
        (self.inside / _FILLER).unlink(missing_ok=True)

    @property
    def free_bytes(self) -> int:
        """The free space in bytes."""
        return shutil.disk_usage(self.inside).free

    def copy_out(self, folder: Path) -> None:
        """Copy its files: the disk ends with its owner."""
        shutil.copytree(
            self.inside, folder, ignore=shutil.ignore_patterns(_FILLER), dirs_exist_ok=True
        )


def _write_until_full(handle: int, data: bytes) -> None:
    while True:
        try:
            os.write(handle, data)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
