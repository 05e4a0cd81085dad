"""Files of a run: written whole or not at all, and read only if they are regular files. The system
under test can write to a folder of reports, and runs are copied from elsewhere. So nothing is
written to a name that could be guessed, no link is followed, and no pipe is opened.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

MOST_BYTES = 256 * 1024 * 1024
"""Of one file: a history, which Temporal bounds to 50 MB, takes less than that as JSON."""


class NoFolderError(Exception):
    """A folder for reports cannot be made. One sentence: why, and what to do."""


def new_folder(
    reports: Path, prefix: str = "", *, at: datetime | None = None, option: str = "--reports"
) -> Path:
    """A new folder there, named by the time, by default now. `option` is the one that names another
    folder. Raises NoFolderError.
    """
    name = f"{prefix}{at or datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        for suffix in ("", *(f"-{number}" for number in range(2, 100))):
            with suppress(FileExistsError):
                folder = reports / f"{name}{suffix}"
                folder.mkdir()
                return folder
    except OSError as error:
        raise NoFolderError(
            f"the folder for reports {reports} cannot be written to ({error.strerror}); choose "
            f"another with {option}."
        ) from None
    raise NoFolderError(f"{reports} already has a hundred runs of this second; try again.")


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; a link of its name is replaced. Raises OSError."""
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with _written_beside(path, data) as temporary:
        temporary.replace(path)
    with suppress(OSError):  # the file is there; only a power cut could take its name back
        sync_folder(path.parent)


def create_file(path: Path, data: bytes) -> None:
    """Write a file whole, only where there is none. Raises FileExistsError, and other OSError."""
    with _written_beside(path, data) as temporary:
        os.link(temporary, path, follow_symlinks=False)
        temporary.unlink()
    sync_folder(path.parent)


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """The data in a file of the same folder, which is removed if it does not become the file."""
    temporary = _beside(path)
    # As mkstemp makes it, but with the rights that the user's umask gives: others read reports.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_link(path: Path, target: str) -> None:
    """Point a link at a target, in one step. Raises OSError."""
    temporary = _beside(path)
    temporary.symlink_to(target)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append_to(path: Path) -> BinaryIO:
    """Open a file to read it and to append. Raises OSError, also for a link or no regular file."""
    return _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, "ab+")


def read_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises OSError, also for a link or far too large a file."""
    with _opened(path) as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise _refused(path, f"it is larger than {most_bytes // (1024 * 1024)} MB")
        return file.read(most_bytes)


def read_start(path: Path, most_bytes: int, begin: int = 0) -> bytes:
    """At most so many bytes of a file, from a position. Raises OSError, also for a link."""
    with _opened(path) as file:
        file.seek(begin)
        return file.read(most_bytes)


def _opened(path: Path, flags: int = os.O_RDONLY, mode: str = "rb") -> BinaryIO:
    try:
        # Non-blocking, or a pipe that nobody writes to would hold us for ever.
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "it is a symbolic link") from None
        raise
    kind = os.fstat(handle).st_mode
    if stat.S_ISREG(kind):
        return cast("BinaryIO", os.fdopen(handle, mode))
    os.close(handle)
    raise _refused(path, "it is a folder" if stat.S_ISDIR(kind) else "it is a pipe or a device")


def read_if_there(path: Path, most_bytes: int = MOST_BYTES) -> bytes | None:
    """The content of a file as `read_file` gives it; None where no such file exists."""
    try:
        return read_file(path, most_bytes)
    except FileNotFoundError:
        return None


def is_own_file(path: Path, folder: Path) -> bool:
    """Whether it is a file in this folder or below, with no link on the way."""
    below = [path, *(p for p in path.parents if p != folder and p.is_relative_to(folder))]
    return path.is_file() and not any(map(Path.is_symlink, below))


def _beside(path: Path) -> Path:
    """A name in the same folder that cannot be guessed."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")


def _refused(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))


def sync_folder(folder: Path) -> None:
    """Make the names of its files as durable as their content. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cut_unfinished_line(path: Path) -> None:
    """Remove a last line whose writer was killed, before more is written. Raises OSError."""
    if path.is_file():
        whole_bytes = path.read_bytes().rfind(b"\n") + 1
        if whole_bytes < path.stat().st_size:
            os.truncate(path, whole_bytes)
