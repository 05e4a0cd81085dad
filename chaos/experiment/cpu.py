"""The CPU time of a run by kind of process, as the kernel reports it of each that ended. A worker
whose supervisor waited for it counts with the supervisor. One that outlived its supervisor, and
ended by itself, is missing: its parent was no process of the harness.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos.evidence.journal import Entry, Event, read_journal

HARNESS, OTHER = "harness", "other"
_KINDS = {
    "temporal-": "server",
    "server": "server",
    "postgres": "server",
    "initdb": "server",
    "worker-": "worker",
    "fleet-": "fleet",
    "fake-api": "fake_api",
    "proxy-": "proxy",
}
"""By the beginning of a process's name in the journal."""


@dataclass(frozen=True)
class Used:
    """CPU seconds of this process so far, and of the children that it has waited for."""

    own: float
    children: float

    @classmethod
    def now(cls) -> Self:
        """By the kernel."""
        own, children = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return cls(own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime)


@dataclass(frozen=True)
class Share:
    """A number of processes, and the CPU time of those that have ended."""

    processes: int
    seconds: float


def kind_of(target: str) -> str:
    """The kind of process that has that name in the journal."""
    return next((kind for begin, kind in _KINDS.items() if target.startswith(begin)), OTHER)


def shares(*journals: Iterable[Entry]) -> Mapping[str, Share]:
    """The processes of these journals by kind; journals of older versions have no seconds."""
    found: dict[str, Share] = {}
    for entries in journals:
        seen: set[tuple[str, int | None]] = set()
        for entry in entries:
            if not entry.target or entry.event not in {Event.STARTED, Event.EXITED}:
                continue
            who, kind = (entry.target, entry.pid), kind_of(entry.target)
            before = found.get(kind, Share(0, 0.0))
            found[kind] = Share(
                before.processes + (who not in seen), before.seconds + (entry.cpu_seconds or 0.0)
            )
            seen.add(who)
    return found


def journals_of(folder: Path) -> Mapping[Path, Sequence[Entry]]:
    """Every journal of a run, by its file."""
    return {file: read_journal(file) for file in sorted(folder.rglob("journal.jsonl"))}


def cpu_seconds(folder: Path, before: Used, after: Used) -> dict[str, float]:
    """The CPU time of a run between two times, by kind. The other kind includes processes without a
    journal: the spawner, and short commands.
    """
    journals = list(journals_of(folder).values())
    found = {kind: share.seconds for kind, share in shares(*journals).items()}
    told = sum(_heard(entries) for entries in journals)
    untold = max(0.0, after.children - before.children - told)
    found[OTHER] = found.get(OTHER, 0.0) + untold
    found[HARNESS] = after.own - before.own
    return {kind: round(seconds, 2) for kind, seconds in sorted(found.items())}


def _heard(journal: Sequence[Entry]) -> float:
    """The CPU time of the harness's children, which the kernel reports only to their parent."""
    own = {(e.target, e.pid) for e in journal if e.event is Event.STARTED}
    return sum(e.cpu_seconds or 0.0 for e in journal if (e.target, e.pid) in own)
