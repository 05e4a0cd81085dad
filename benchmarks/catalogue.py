"""The benchmarks, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure

from benchmarks import concurrency, ledger_cost, peer, recovery, restart, suite
from benchmarks.bed import Bed
from benchmarks.figures import Found


class Measure(Protocol):
    """Measures; `quick`: with as few repetitions as make sense."""

    async def __call__(self, bed: Bed, *, quick: bool) -> Found:
        """Leaves no process behind."""


class Plot(Protocol):
    """Draws."""

    def __call__(self, found: Found) -> Figure:
        """What was found."""


class Conclude(Protocol):
    """Puts into words what the figures say."""

    def __call__(self, found: Found) -> str:
        """A sentence or two."""


@dataclass(frozen=True)
class Entry:
    """One benchmark: what it asks, and its hands."""

    name: str
    title: str
    question: str
    measure: Measure
    plot: Plot
    conclude: Conclude = lambda found: ""  # noqa: ARG005 - there is not always one


def entries(runs: Sequence[Path] = ()) -> Mapping[str, Entry]:
    """All, by name; `runs` are the folders of recorded runs, none: the newest."""
    found: Sequence[Entry] = (
        Entry(
            ledger_cost.NAME,
            ledger_cost.TITLE,
            ledger_cost.QUESTION,
            ledger_cost.measure,
            ledger_cost.plot,
        ),
        Entry(recovery.NAME, recovery.TITLE, recovery.QUESTION, recovery.measure, recovery.plot),
        Entry(restart.NAME, restart.TITLE, restart.QUESTION, restart.measure, restart.plot),
        Entry(peer.NAME, peer.TITLE, peer.QUESTION, peer.measure, peer.plot),
        Entry(
            concurrency.NAME,
            concurrency.TITLE,
            concurrency.QUESTION,
            concurrency.measure,
            concurrency.plot,
            concurrency.conclude,
        ),
        Entry(suite.NAME, suite.TITLE, suite.QUESTION, suite.Suite(runs).measure, suite.plot),
    )
    return {entry.name: entry for entry in found}
