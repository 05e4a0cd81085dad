"""The alerts that wait for one channel: a file each, whole or not there, in a folder that the
workers of a machine share.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import ValidationError

from workflows.alerts.alert import Alert
from workflows.alerts.limits import Limits
from workflows.artifacts import sync_folder, write_whole

REFUSED = "refused"
"""The folder beside the waiting files for those which the receiver will never take."""

_SUFFIX = ".json"


class SpoolFullError(Exception):
    """So many alerts wait already that the new one is not kept: the oldest tell of the cause."""


class UnreadableError(Exception):
    """A file of the spool is no alert."""


@dataclass(frozen=True)
class Spool:
    """One channel's folder. All methods block on the disk and raise OSError where it fails."""

    folder: Path
    limits: Limits

    def put(self, alert: Alert) -> None:
        """Keep an alert durably; one that waits already is left as it is.

        Raises SpoolFullError where `most_pending` wait.
        """
        target = self.folder / f"{alert.key}{_SUFFIX}"
        if target.exists():
            return
        _make_folder(self.folder)
        if _count(self.folder) >= self.limits.most_pending:
            raise SpoolFullError
        write_whole(target, alert.model_dump_json().encode())

    def pending(self) -> Sequence[str]:
        """The names of the files that wait, the oldest first. What is no file of ours is none: a
        pipe would hold, and a folder fail, all that come after it.
        """
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # another worker was quicker
                        found.append((entry.stat().st_mtime_ns, entry.name))
        return [name for _, name in sorted(found)]

    def claim(self, name: str) -> Claim | None:
        """Take a file for oneself; None where it is gone or another worker has it.

        The kernel ends a claim with its process, whatever becomes of that.
        """
        path = self.folder / name
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between the opening and the lock its last owner may have delivered and removed it.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return Claim(path, file, self.limits)
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            file.close()
            raise
        file.close()
        return None

    def sweep(self) -> None:
        """Remove what writers that were killed left half-written."""
        oldest = time.time() - self.limits.abandoned_seconds
        with contextlib.suppress(FileNotFoundError):
            for file in self.folder.iterdir():
                if file.name.startswith(".") and file.stat().st_mtime < oldest:
                    file.unlink()


@dataclass(frozen=True)
class Claim:
    """A file of the spool that no other worker can take until it is released."""

    path: Path
    file: BinaryIO
    limits: Limits

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    def read(self) -> Alert:
        """The alert. Raises UnreadableError."""
        try:
            return Alert.model_validate_json(self.file.read())
        except ValidationError:
            raise UnreadableError from None

    def remove(self) -> None:
        """It is delivered."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def set_aside(self) -> None:
        """It will never be taken: keep it, but don't try again. Where `most_pending` were refused
        already, it is removed.
        """
        refused = self.path.parent / REFUSED
        refused.mkdir(exist_ok=True)
        if _count(refused) >= self.limits.most_pending:
            self.path.unlink(missing_ok=True)
        else:
            self.path.rename(refused / self.path.name)
        sync_folder(refused)
        sync_folder(self.path.parent)


def waiting_elsewhere(folder: Path, channels: Sequence[str]) -> dict[str, int]:
    """How many alerts wait for channels other than these, which nobody delivers now."""
    others = [sub for sub in folder.iterdir() if sub.name not in channels and sub.is_dir()]
    return {other.name: waiting for other in sorted(others) if (waiting := _count(other))}


def _count(folder: Path) -> int:
    return sum(file.name.endswith(_SUFFIX) for file in folder.iterdir())


def _make_folder(folder: Path) -> None:
    """Make it and its parents, durably: the name of a folder lives in its parent."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
