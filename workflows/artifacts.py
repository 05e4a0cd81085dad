"""Files that are either whole or not there: written aside, synced, renamed, hashed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from workflows import policies
from workflows.models import Artifact

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What an operation's id must be like to name a folder. Names that begin with a dot are ours."""

_MAGIC = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))
"""How files of a type begin, whatever they are called."""

_SAME = {"jpg": "jpeg", "pjpeg": "jpeg", "x-png": "png"}
"""Other names of a type."""

SUFFIXES = {
    "jpeg": ".jpg",
    **{name: f".{name}" for name in ("png", "webp", "gif", "avif", "heic", "heif", "bmp", "tiff")},
}
"""Of images, by the second half of their type. Another has its own name before `.img`."""

_OTHER = ".img"
_NAME = re.compile(r"[a-z][a-z0-9.+-]{0,39}")
_NUMBER = re.compile(r"^\d+\.")


def image_type(named: str, data: bytes) -> str | None:
    """The true type of an image that came as `named`; None where that names no image."""
    kind, _, name = named.lower().partition(";")[0].strip().partition("/")
    if kind != "image":
        return None
    begins = next((true for magic, true in _MAGIC if data.startswith(magic)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        begins = "webp"
    true = begins or _SAME.get(name, name)
    return f"image/{true}" if _NAME.fullmatch(true) else None


def suffix_of(mime_type: str) -> str:
    """How the name of an image's file ends: `mime_type_of` reads its type back."""
    name = mime_type.removeprefix("image/")
    own = f".{name}" if _NAME.fullmatch(name) else ""
    return SUFFIXES.get(name, f"{own}{_OTHER}")


def mime_type_of(path: str, data: bytes) -> str:
    """The type of an image by its file; PNG where nothing tells it."""
    suffix = "." + _NUMBER.sub("", Path(path).name.partition(".")[2])
    known = {ending: name for name, ending in SUFFIXES.items()}
    name = known.get(suffix) or suffix.removesuffix(_OTHER).removeprefix(".") or "png"
    return image_type(f"image/{name}", data) or "image/png"


class ArtifactError(Exception):
    """A file cannot be written, or is not what was written. The message says what to do."""


class ArtifactStore:
    """The folder of all artifacts; one sub-folder for each operation.

    `names_in_use` are names in it that no operation may have: of files that are the programs' own.
    """

    def __init__(self, root: Path, names_in_use: frozenset[str] = frozenset()) -> None:
        self._root = root
        self._names_in_use = names_in_use

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self._root

    def require_name(self, operation_id: str) -> None:
        """Raise ArtifactError where an operation's id cannot name its folder."""
        if not SAFE_ID.fullmatch(operation_id):
            raise ArtifactError(
                f"the operation id {operation_id!r} cannot be the name of a folder; use letters, "
                "digits, dots, dashes and underscores, at most 200."
            )
        if operation_id in self._names_in_use:
            raise ArtifactError(
                f"the operation id {operation_id!r} is the name of a file that the workers keep "
                "there; use another id."
            )

    def prepare(self, operation_id: str) -> Path:
        """Make an operation's folder and prove that it can be written to.

        Called before a paid call, so that a folder that cannot take its reply costs nothing.
        """
        self.require_name(operation_id)
        folder = self._root / operation_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            free_bytes = shutil.disk_usage(folder).free
        except OSError as error:
            raise ArtifactError(_cannot_write(folder, error)) from None
        if free_bytes < policies.FREE_BYTES:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise ArtifactError(_cannot_write(folder, full))
        return folder

    def save(self, operation_id: str, name: str, data: bytes) -> Artifact:
        """Write a file durably; it appears whole under its name or not at all."""
        folder = self._root / operation_id
        self._write(folder, name, data)
        return _describe(f"{operation_id}/{name}", data)

    def find(self, operation_id: str, stem: str) -> Artifact | None:
        """The file of that name, whatever its suffix; None where there is none.

        Only for files whose record is lost: what is found cannot be compared with anything.
        """
        for path in sorted((self._root / operation_id).glob(f"{stem}.*")):
            suffix = path.name.removeprefix(stem)
            is_ours = suffix.endswith(_OTHER) and not _NUMBER.match(suffix[1:])
            if path.is_file() and (suffix in SUFFIXES.values() or is_ours):
                return _describe(f"{operation_id}/{path.name}", path.read_bytes())
        return None

    def has(self, operation_id: str, name: str) -> bool:
        """Whether an operation has a file of that name."""
        return (self._root / operation_id / name).is_file()

    def save_note(self, operation_id: str, name: str, text: str) -> None:
        """Write a short text durably, in a hidden file. Raises ArtifactError."""
        self._write(self._root / operation_id, f".{name}.note", text.encode())

    def read_note(self, operation_id: str, name: str) -> str | None:
        """A text that was saved; None where there is none. Raises ArtifactError."""
        note = f".{name}.note"
        try:
            return (self._root / operation_id / note).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ArtifactError(
                f"the note {operation_id}/{note} cannot be read ({why}); restore it."
            ) from None

    def is_whole(self, artifact: Artifact) -> bool:
        """Whether a file is there as it was made."""
        try:
            self.load(artifact)
        except ArtifactError:
            return False
        return True

    def _write(self, folder: Path, name: str, data: bytes) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, data)
        except OSError as error:
            raise ArtifactError(_cannot_write(folder, error)) from None

    def load(self, artifact: Artifact) -> bytes:
        """Read a file back; raises ArtifactError where it is gone or altered."""
        try:
            data = (self._root / artifact.path).read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"the artifact {artifact.path} cannot be read ({error.strerror}); restore it, or "
                "check that all workers share ARTIFACTS_DIR."
            ) from None
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise ArtifactError(
                f"the artifact {artifact.path} was changed after it was made; restore it, "
                "or start a new operation, which pays for it again."
            )
        return data


def _describe(path: str, data: bytes) -> Artifact:
    return Artifact(path=path, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file durably: it appears whole under its name or not at all. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename durable: the name lives in the folder, not in the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(folder: Path, error: OSError) -> str:
    return (
        f"the artifact folder {folder} cannot be written to ({error.strerror}); "
        "make room or fix its permissions, then start the operation again."
    )
