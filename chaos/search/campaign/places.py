"""The kinds of places that evidence can go to: a folder of this machine, or what fsspec has."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chaos.evidence.files import create_file, is_own_file, read_start, sync_folder

_TRIES = 5
"""Of a write that the place refuses because another of the same name is under way."""


class NoFileError(OSError):
    """Something else has the place of a file: what, in a few words."""


class Place(Protocol):
    """What a store needs of a place. Names are relative to it, and have been checked. Everything
    raises OSError, or what the library behind it has.
    """

    def create(self, name: str, data: bytes) -> None:
        """Write a file whole. Raises FileExistsError where there is one."""

    def read(self, name: str, most: int) -> bytes | None:
        """At most so many bytes of a file, or None where there is none."""

    def sizes(self, under: str) -> Mapping[str, int]:
        """The files below a folder, which need not be there, each with its size in bytes."""

    def folders(self) -> Iterable[str]:
        """The folders right in it."""


@dataclass(frozen=True)
class Folder:
    """A folder, of this machine or mounted. No link in it is followed."""

    root: Path

    def create(self, name: str, data: bytes) -> None:
        """Written beside, then linked to its name: a crash leaves all of it or nothing."""
        path = self._own(name)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent.parent)
        create_file(path, data)

    def read(self, name: str, most: int) -> bytes | None:
        """Only of a regular file."""
        try:
            return read_start(self._own(name), most)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise NoFileError(f"{name} is no file of its own: {error.strerror}") from None
            raise

    def sizes(self, under: str) -> Mapping[str, int]:
        """Only regular files."""
        walk = os.walk(self.root / under, onerror=_raise)
        paths = [Path(folder, file) for folder, _, files in walk for file in files]
        return {
            path.relative_to(self.root).as_posix(): path.stat().st_size
            for path in paths
            if is_own_file(path, self.root)
        }

    def folders(self) -> Iterable[str]:
        """Without links."""
        try:
            with os.scandir(self.root) as entries:
                return [each.name for each in entries if each.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []

    def _own(self, name: str) -> Path:
        folder = self.root
        for part in Path(name).parts[:-1]:
            folder /= part
            if folder.is_symlink():
                raise NoFileError(f"{folder.relative_to(self.root)} is a symbolic link")
        return self.root / name


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@dataclass(frozen=True)
class Objects:
    """An object store, or any other file system of fsspec."""

    files: Any
    root: str

    def create(self, name: str, data: bytes) -> None:
        """By a conditional write, where the place has that."""
        path = f"{self.root}/{name}"
        for left in reversed(range(_TRIES)):
            try:
                self.files.pipe_file(path, data, mode="create")
            except OSError as error:
                code = _code(error)
                if code == "ConditionalRequestConflict" and left:
                    continue  # another write of the name was under way: one of both has won now
                if code == "PreconditionFailed":
                    raise FileExistsError(path) from error
                raise
            return

    def read(self, name: str, most: int) -> bytes | None:
        """By one request."""
        try:
            return bytes(self.files.cat_file(f"{self.root}/{name}", start=0, end=most))
        except FileNotFoundError as error:
            if _code(error) in {"NoSuchBucket", "ContainerNotFound"}:
                raise
            return None
        except OSError as error:
            if _code(error) == "InvalidRange":  # of an empty file
                return b""
            raise

    def sizes(self, under: str) -> Mapping[str, int]:
        """As the place has them now: nothing is remembered."""
        prefix = f"{self.root}/"
        try:
            found = self.files.find(f"{prefix}{under}".rstrip("/"), detail=True)
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise
            return {}
        return {
            path.removeprefix(prefix): each.get("size") or 0
            for path, each in found.items()
            if path.startswith(prefix)
        }

    def folders(self) -> Iterable[str]:
        """The prefixes up to the next slash."""
        try:
            found = self.files.ls(self.root, detail=True)
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise
            return []
        return [Path(each["name"]).name for each in found if each["type"] == "directory"]


def _code(error: BaseException) -> str:
    """What an object store has called it, which is in the error that its client raised first."""
    cause = error.__cause__ or error
    response = getattr(cause, "response", None)
    said = response.get("Error", {}) if isinstance(response, dict) else {}
    return str(said.get("Code", ""))
