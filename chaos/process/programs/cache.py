"""The cache folder: one binary for each program and version, made beside, put in place whole."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from chaos.evidence.files import write_file
from chaos.process.programs.command import UnusableError, examine
from chaos.process.programs.model import (
    BadBinaryError,
    Binary,
    Search,
    SearchCancelledError,
    Source,
    WayFailedError,
)

_LOCK_TIMEOUT_SECONDS = 30 * 60.0
_LOCK_POLL_SECONDS = 0.1
_UNFINISHED = "installing-"


def cache_folder() -> Path:
    """CHAOS_CACHE_DIR where it is set, else the user's cache.

    Raises BadBinaryError where this user has no home.
    """
    chosen = os.environ.get("CHAOS_CACHE_DIR")
    try:
        folder = Path(chosen) if chosen else user_cache_path("temporal-fault-tolerance")
        return folder.expanduser().absolute()
    except RuntimeError:
        raise BadBinaryError(
            "there is no home folder to keep programs in: set HOME, or name a folder by "
            "CHAOS_CACHE_DIR."
        ) from None


def cached_paths(search: Search) -> Sequence[Path]:
    """Where the binary may be, once installed; the newest version first."""
    return [_place(version, search) for version in search.program.versions]


@contextmanager
def installing(search: Search) -> Iterator[None]:
    """Hold the folder's lock, so that one run at a time installs.

    Raises WayFailedError where the folder cannot be used, and SearchCancelledError.
    """
    lock = FileLock(search.folder / "install.lock")
    try:
        search.folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, search)
    except (OSError, NotImplementedError) as error:
        raise WayFailedError(_cannot_write(search.folder, error)) from error
    try:
        _remove_unfinished(search.folder)
        yield
    finally:
        lock.release()


@contextmanager
def work_folder(search: Search) -> Iterator[Path]:
    """A temporary folder beside the binary's place. Raises WayFailedError where it cannot be."""
    try:
        made = tempfile.mkdtemp(prefix=_UNFINISHED, dir=search.folder)
    except OSError as error:
        raise WayFailedError(_cannot_write(search.folder, error)) from error
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def publish(candidate: Path, source: Source, search: Search) -> Binary:
    """Put a working binary in its place, in one step. Raises WayFailedError."""
    place = _place(search.program.version_by(source), search)
    try:
        candidate.chmod(0o755)
        binary = examine(candidate, source, search)
        _sync(candidate)
        write_file(_note_beside(place), source)  # before: no binary stands beside another's note
        candidate.replace(place)
        _sync(search.folder)
        return replace(binary, path=place)
    except UnusableError as error:
        raise WayFailedError(f"its result {error}") from None
    except OSError as error:
        raise WayFailedError(_cannot_write(search.folder, error)) from error


def installed_by(path: Path) -> Source | None:
    """How a binary got into the cache; None if that is not on record."""
    try:
        return Source(_note_beside(path).read_text())
    except (OSError, ValueError):
        return None


def remove(path: Path) -> None:
    """Remove whatever is there, and the note of how it was installed."""
    _note_beside(path).unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _place(version: str, search: Search) -> Path:
    return search.folder / f"{search.program.name}-{version}"


def _note_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.by")


def _acquire(lock: FileLock, search: Search) -> None:
    start = time.monotonic()
    told = 0
    while True:
        try:
            lock.acquire(timeout=_LOCK_POLL_SECONDS, poll_interval=_LOCK_POLL_SECONDS / 2)
        except Timeout:
            waited = time.monotonic() - start
        else:
            return
        if search.cancel.is_set():
            raise SearchCancelledError("The search ended while another run was installing.")
        if waited > _LOCK_TIMEOUT_SECONDS:
            raise WayFailedError(f"another run has locked {lock.lock_file} for {waited:.0f} s")
        if waited >= told * search.progress_interval_seconds:
            search.announce(f"another run is installing a program; waiting ({waited:.0f} s)")
            told += 1


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed runs left: under the lock, no other run uses it."""
    for left in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(folder: Path, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return f"the cache folder {folder} cannot be written ({why}); CHAOS_CACHE_DIR names another"
