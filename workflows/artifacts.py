"""Files that are either whole or not there: written aside, synced, renamed, hashed."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from workflows.models import Artifact

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class ArtifactError(Exception):
    """A file cannot be written, or is not what was written. The message says what to do."""


class ArtifactStore:
    """The folder of all artifacts; one sub-folder for each operation."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self, operation_id: str) -> Path:
        """Make an operation's folder and prove that it can be written to.

        Called before a paid call, so that a folder nobody can write to costs nothing.
        """
        if not _SAFE_ID.fullmatch(operation_id):
            raise ArtifactError(
                f"the operation id {operation_id!r} cannot name a folder; "
                "use letters, digits, dots, dashes and underscores, at most 200."
            )
        folder = self._root / operation_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ArtifactError(_cannot_write(folder, error)) from None
        return folder

    def save(self, operation_id: str, name: str, data: bytes) -> Artifact:
        """Write a file durably; it appears whole under its name or not at all."""
        folder = self.prepare(operation_id)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(folder / name)
            _sync_folder(folder)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise ArtifactError(_cannot_write(folder, error)) from None
        return Artifact(
            path=f"{operation_id}/{name}",
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )

    def load(self, artifact: Artifact) -> bytes:
        """Read a file back; raises ArtifactError where it is gone or altered."""
        try:
            data = (self._root / artifact.path).read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"the artifact {artifact.path} cannot be read ({error.strerror}); "
                "restore it, or check that all workers share ARTIFACTS_DIR."
            ) from None
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise ArtifactError(
                f"the artifact {artifact.path} was altered since it was made; restore it."
            )
        return data


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the name lives in the folder, not in the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(folder: Path, error: OSError) -> str:
    return (
        f"the artifact folder {folder} cannot be written to ({error.strerror}); "
        "make room or mend its permissions, then start the operation again."
    )
