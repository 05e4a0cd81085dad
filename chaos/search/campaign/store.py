"""The shared place of a campaign's evidence: a folder or an object store, by fsspec.

Everything is written once: a name has one content for ever, whoever writes it first. What is read
may have been changed by anybody: names are checked, and sizes bounded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # it has no types

from chaos.evidence.text import plain, scrubbed
from chaos.search.campaign.places import Folder, NoFileError, Objects, Place

MOST_BYTES = 512 * 1024 * 1024
"""Of one file; the largest are bundles of evidence."""

_PROOF = "proof.txt"

_AT_ONCE = 16
"""Reads: most of the time of each is spent on its way."""

_PART = re.compile(r"[A-Za-z0-9_+=@,()-][A-Za-z0-9_+=@,().-]{0,199}")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SECRET = re.compile(r"://.*:.*@|[?#]|::")
_IN_URL = re.compile(r"//[^/@\s]*@")
_SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|SAS|CONNECTION_STRING", re.IGNORECASE)


class StoreError(Exception):
    """The place cannot be used. One sentence: what is wrong and what to do."""


class DamagedError(StoreError):
    """One file is nothing that a campaign writes. One sentence."""


@dataclass(frozen=True)
class Store:
    """The files of one campaign. All calls block: call them in a thread. `address` has no secret
    in it.
    """

    address: str
    place: Place

    @classmethod
    def open(cls, url: str, campaign_id: str = "") -> Store:
        """That of a campaign, or of all without an id. Nothing is read or written yet. Raises
        StoreError.
        """
        address = address_of(url)
        if campaign_id:
            _check(campaign_id)
            address = f"{address.rstrip('/')}/{campaign_id}"
        if not _SCHEME.match(address):
            return cls(address, Folder(Path(address)))
        try:
            # Other machines write too: a listing is never taken from memory.
            files, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
        except ImportError as error:
            package = getattr(error.__cause__, "name", None) or error.name or "s3fs"
            raise StoreError(
                f"evidence at {address} needs a Python package that is not installed: "
                f"pip install {package}."
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever a library has against an address
            raise StoreError(
                f"{address} is no place for evidence ({_reason(error)}); name a folder, or an "
                "object store such as s3://BUCKET/FOLDER."
            ) from None
        return cls(address, Objects(files, root.rstrip("/")))

    def others(self) -> Store:
        """Of a campaign's: that of all campaigns at the same place. Raises StoreError."""
        return Store.open(self.address.rpartition("/")[0])

    def of(self, campaign_id: str) -> Store:
        """Of a store of all campaigns: that of one. Raises StoreError."""
        return Store.open(self.address, campaign_id)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file whole, unless it is there; whether it is what was written here. So it is if
        an earlier try of the same write arrived and only its answer was lost. Raises StoreError.
        """
        _check(name)
        with self._told("written to"):
            try:
                self.place.create(name, data)
            except FileExistsError:
                return self.place.read(name, len(data) + 1) == data
            return True

    def prove(self) -> None:
        """Before a campaign rests on it: that files can be written here, others can read them, and
        none replaces another. Raises StoreError.
        """
        if self.address.startswith("memory:"):
            raise StoreError(
                f"{self.address} is the memory of one process, which no other machine can read: "
                "name a folder that all machines share, or an object store such as "
                "s3://BUCKET/FOLDER."
            )
        for content in (b"first\n", b"second\n"):
            is_there = self.create(_PROOF, content)
        if is_there:
            raise StoreError(
                f"{self.address} lets one file replace another, so a second verdict could replace "
                "the first: choose a folder, or an object store with conditional writes."
            )

    def read(self, name: str, most_bytes: int = MOST_BYTES) -> bytes | None:
        """A file, or None where there is none. Raises DamagedError if it is too large or a link,
        StoreError.
        """
        _check(name)
        with self._told("read"):
            data = self.place.read(name, most_bytes + 1)
        if data is not None and len(data) > most_bytes:
            raise DamagedError(f"{self.address}/{name} is larger than a campaign writes.")
        return data

    def read_all(
        self,
        names: Sequence[str],
        most_bytes: int = MOST_BYTES,
        damaged: Callable[[str], None] | None = None,
    ) -> dict[str, bytes]:
        """Many files at once; those that there are. `damaged` is told the sentence of each that is
        nothing of a campaign; without it the first is raised. Raises StoreError.
        """

        def one(name: str) -> tuple[str, bytes | None]:
            try:
                return name, self.read(name, most_bytes)
            except DamagedError as error:
                if damaged is None:
                    raise
                damaged(str(error))
                return name, None

        with ThreadPoolExecutor(_AT_ONCE, "store") as threads:
            return {name: data for name, data in threads.map(one, names) if data is not None}

    def list(self, under: str = "") -> Sequence[str]:
        """The files below a folder, by their names from the root on, sorted; of a campaign all
        without one. What no campaign could have written is not among them. Raises StoreError.
        """
        return sorted(self.sizes(under))

    def sizes(self, under: str = "") -> dict[str, int]:
        """The same files, each with its size in bytes. Raises StoreError."""
        if under:
            _check(under)
        with self._told("read"):
            found = self.place.sizes(under)
        return {name: size for name, size in found.items() if is_name(name)}

    def campaigns(self) -> Sequence[str]:
        """Of a store that was opened without an id: what is in it, sorted. Raises StoreError."""
        with self._told("read"):
            return sorted(filter(is_name, self.place.folders()))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Whatever a library raises becomes a sentence."""
        try:
            yield
        except StoreError:
            raise
        except NoFileError as error:
            raise DamagedError(
                f"in {self.address}, {error}; no campaign writes such: remove it."
            ) from None
        except Exception as error:
            raise StoreError(_sentence(self.address, what, error)) from error


def address_of(url: str) -> str:
    """A place for evidence as every process understands it: a folder by its whole path. Raises
    StoreError, also for one with a secret in it, which would end up in histories and files.
    """
    scheme = _SCHEME.match(url)
    if (scheme or "::" in url) and _SECRET.search(url):
        raise StoreError(
            "the address of the evidence must have no password, key or parameters "
            "in it: give those by the environment, such as AWS_SECRET_ACCESS_KEY."
        )
    if not url or plain(url) != url:
        raise StoreError("the address of the evidence is empty, or has invisible characters.")
    if scheme and scheme[1].lower() in {"file", "local"}:
        url, scheme = url[scheme.end() :], None
    return url.rstrip("/") if scheme else str(Path(url).expanduser().resolve())


def is_name(name: str) -> bool:
    """Whether a file of a campaign may be called so: its parts are plain, and lead nowhere else."""
    return len(name) <= 600 and all(map(_PART.fullmatch, name.split("/")))


def _check(name: str) -> None:
    if not is_name(name):
        raise StoreError(f"{plain(name, 100)!r} cannot be the name of a file of a campaign.")


def _sentence(address: str, what: str, error: Exception) -> str:
    kind = type(error).__name__
    if isinstance(error, PermissionError):
        return (
            f"{address} may not be {what} with the rights that this machine has "
            f"({_reason(error)}); check its keys, or the owner of the folder."
        )
    if isinstance(error, FileNotFoundError):
        return f"there is no such place as {address}; make the bucket or the folder first."
    if "Credentials" in kind:
        return (
            f"{address} cannot be {what}: this machine has no keys for it ({_reason(error)}); set "
            "them by the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return (
        f"{address} cannot be {what} ({_reason(error)}); check the address, the network and the "
        "room that is left there."
    )


def _reason(error: Exception) -> str:
    """What a library says, without what the environment has of secrets."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    secrets = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    said = scrubbed(text, [each for each in secrets if len(each) >= 4])
    return plain(_IN_URL.sub("//", said), 200).rstrip(".")
