"""The shared place of a campaign's evidence: a folder or an object store, by fsspec.

Everything is written once: a name has one content for ever, whoever writes it first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it has no types


class StoreError(Exception):
    """The place cannot be used. One sentence: what is wrong and what to do."""


@dataclass(frozen=True)
class Store:
    """The files of one campaign, below `root` of a file system. All calls block: call them in a
    thread.
    """

    files: Any
    root: str

    @classmethod
    def open(cls, url: str, campaign_id: str = "") -> Store:
        """That of a campaign, or of all without an id. Raises StoreError."""
        files, root = fsspec.core.url_to_fs(url)
        return cls(files, f"{root}/{campaign_id}" if campaign_id else root)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file whole, unless it is there; whether it was written now. Raises StoreError."""
        raise NotImplementedError

    def read(self, name: str) -> bytes | None:
        """A file, or None where there is none. Raises StoreError."""
        raise NotImplementedError

    def read_all(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Many files at once; those that there are. Raises StoreError."""
        raise NotImplementedError

    def list(self, under: str) -> Sequence[str]:
        """The files below a folder, by their names from the root on, sorted. Raises StoreError."""
        raise NotImplementedError
