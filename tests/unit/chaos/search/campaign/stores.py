"""A store in memory, for tests that are not about the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chaos.search.campaign.store import Store


class _Shelf:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def create(self, name: str, data: bytes) -> None:
        if name in self.files:
            raise FileExistsError(name)
        self.files[name] = data

    def read(self, name: str, most: int) -> bytes | None:
        found = self.files.get(name)
        return None if found is None else found[:most]

    def sizes(self, under: str) -> Mapping[str, int]:
        return {name: len(data) for name, data in self.files.items() if name.startswith(under)}

    def folders(self) -> Iterable[str]:
        return ()


class Kept(Store):
    """`kept` are its files."""

    def __init__(self) -> None:
        shelf = _Shelf()
        super().__init__("memory://test", shelf)
        object.__setattr__(self, "kept", shelf.files)

    kept: dict[str, bytes]
