"""What a Temporal server tells of itself: calls of its API, and of its database."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections import Counter
from dataclasses import dataclass

_LINE = re.compile(r"(service_requests|persistence_requests)\{(.*)\} ([0-9.e+]+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Counts:
    """Since the start of its process: calls of its API by their names, and of its database."""

    calls: Counter[str]
    database: int

    def since(self, before: Counts) -> Counts:
        """What was added."""
        return Counts(self.calls - before.calls, self.database - before.database)


async def read_counts(port: int) -> Counts:
    """Raises OSError where nobody answers."""
    return await asyncio.to_thread(_read, port)


def _read(port: int) -> Counts:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return counted(reply.read().decode())


def counted(text: str) -> Counts:
    """Of a text in Prometheus' format. What the server asks of itself is no call of its API."""
    calls: Counter[str] = Counter()
    database = 0
    for name, labels, value in _LINE.findall(text):
        told = dict(_LABEL.findall(labels))
        if name == "persistence_requests":
            database += int(float(value))
        elif told.get("service_name") == "frontend":
            calls[told.get("operation", "")] += int(float(value))
    return Counts(calls, database)
