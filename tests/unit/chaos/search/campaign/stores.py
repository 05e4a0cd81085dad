"""A store in memory: a stand-in where a test is not about the store."""

from __future__ import annotations

from chaos.search.campaign.store import Store


class Kept(Store):
    """One for each test."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def create(self, name: str, data: bytes) -> bool:
        return self.kept.setdefault(name, data) == data

    def read(self, name: str) -> bytes | None:
        return self.kept.get(name)
