"""The evidence of a case as one file: packed alike wherever its content is, and unpacked only if
every byte is what was judged.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chaos.evidence.files import is_own_file, read_file, write_file
from chaos.evidence.text import plain, writable
from chaos.search.campaign import names
from chaos.search.campaign.model import CaseRecord
from chaos.search.campaign.store import MOST_BYTES, Store

MOST_FILES = 100_000

_NAME = re.compile(r"(?:cases/([^/]+)|undisturbed)/([0-9a-f]{64})\.tar\.gz")


class BundleError(Exception):
    """Evidence cannot be packed, or is not what its record says. One sentence: what is wrong."""


@dataclass(frozen=True)
class Bundle:
    """A packed folder, and the hash of each file in it."""

    data: bytes
    files: dict[str, str]

    @property
    def sha256(self) -> str:
        """By which it is named."""
        return hashlib.sha256(self.data).hexdigest()


class Record(Protocol):
    """What has evidence of its own: a file named by its hash, and the hashes of the files in it."""

    @property
    def bundle(self) -> str:
        """Its name in the store; empty where none was kept."""

    @property
    def files(self) -> dict[str, str]:
        """By name."""


def keep(store: Store, case: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Put the evidence of a case, or of the undisturbed runs without one, into the store: `bundle`
    and `files` of its record. A bundle that an earlier attempt left there is of the same content,
    as its name says. Raises BundleError, StoreError, OSError.
    """
    packed = pack(folder)
    name = _named(case, packed.sha256)
    if not store.create(name, packed.data):
        raise BundleError(f"{store.address}/{name} is there with another content: remove it.")
    return name, packed.files


def _named(case: str, sha256: str) -> str:
    return names.bundle(case, sha256) if case else names.undisturbed(sha256)


def pack(folder: Path) -> Bundle:
    """All regular files of a folder; no link is followed. Raises BundleError where that is more
    than may be unpacked, OSError.
    """
    found = {
        writable(path.relative_to(folder).as_posix()): path
        for path in folder.rglob("*")
        if is_own_file(path, folder)
    }
    hashes: dict[str, str] = {}
    packed, left = io.BytesIO(), MOST_BYTES
    with (
        # Without time and name, so that equal content is an equal file.
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=packed, mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in sorted(found.items()):
            data = read_file(path)
            left -= len(data) + 2 * tarfile.BLOCKSIZE
            if left < 0 or len(hashes) >= MOST_FILES:
                raise BundleError(
                    f"{folder} has more than the {MOST_BYTES // 2**20} MB or the {MOST_FILES} "
                    "files that one case may leave."
                )
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
            hashes[name] = hashlib.sha256(data).hexdigest()
    return Bundle(packed.getvalue(), hashes)


def unpack(store: Store, record: CaseRecord, folder: Path) -> None:
    """Write the evidence of a case into a folder, if all of it is as it was when it was judged.
    Raises BundleError, with nothing written, if it is not; StoreError, OSError.
    """
    _write(dict(verified(store, record)), folder)


def unpack_undisturbed(store: Store, record: Record, folder: Path) -> None:
    """The same of the undisturbed runs of a plan."""
    _write(dict(verified_undisturbed(store, record)), folder)


def _write(contents: Mapping[str, bytes], folder: Path) -> None:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)


def verified(store: Store, record: CaseRecord) -> Iterator[tuple[str, bytes]]:
    """The files of a case, each compared with its hash. Raises BundleError, StoreError."""
    return _verified(store, record, record.case.name)


def verified_undisturbed(store: Store, record: Record) -> Iterator[tuple[str, bytes]]:
    """The same of the undisturbed runs of a plan."""
    return _verified(store, record, "")


def _verified(store: Store, record: Record, own: str) -> Iterator[tuple[str, bytes]]:
    named, case = _NAME.fullmatch(record.bundle), own or "the undisturbed runs"
    if not record.bundle:
        raise BundleError(f"no evidence of {case} was kept: its verdict alone is there.")
    if named is None or record.bundle != _named(own, named[2]):
        raise BundleError(f"the evidence of {case} has a name that is not its own.")
    data = store.read(record.bundle)
    if data is None:
        raise BundleError(f"the evidence of {case} is missing: {record.bundle} is not there.")
    if hashlib.sha256(data).hexdigest() != named[2]:
        raise BundleError(f"the evidence of {case} was changed: {record.bundle} has another hash.")
    missing = dict(record.files)
    for name, content in _members(data, case):
        if missing.pop(name, "") != hashlib.sha256(content).hexdigest():
            raise BundleError(f"{plain(name, 100)} of {case} is not what its verdict rests on.")
        yield name, content
    if missing:
        raise BundleError(f"{plain(next(iter(missing)), 100)} of {case} is missing in its bundle.")


def _members(data: bytes, case: str) -> Iterator[tuple[str, bytes]]:
    """What is in a bundle that anybody may have made: plain files with plain names, not too much.
    Nothing of it is left to the archive's own ways to extract.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_expanded(data, case)), mode="r:") as tar:
            for number, member in enumerate(tar):
                file = tar.extractfile(member) if member.isreg() and not member.sparse else None
                if file is None or not _is_inside(member.name) or number >= MOST_FILES:
                    raise BundleError(
                        f"the evidence of {case} holds {plain(member.name, 100)!r}, which no "
                        "campaign packs."
                    )
                yield member.name, file.read()
    except (tarfile.TarError, ValueError, OSError) as error:
        raise BundleError(f"the evidence of {case} is no archive ({error}).") from None


def _expanded(data: bytes, case: str) -> bytes:
    """Bounded before anything else looks at it."""
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        expanded = stream.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise BundleError(f"the evidence of {case} is no archive ({error}).") from None
    if not stream.eof:
        raise BundleError(f"the evidence of {case} is not whole, or far too large.")
    return expanded


def _is_inside(name: str) -> bool:
    parts = name.split("/")
    return all(part not in {"", ".", ".."} and "\0" not in part for part in parts)
