"""What a timeline is made of, in seconds from the begin of its case. Nothing is drawn yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event


@dataclass(frozen=True)
class Span:
    """Something that lasted. `kind` says how it looks, `detail` all that is known of it."""

    start: float
    end: float
    kind: str
    label: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Mark:
    """Something that happened at a time; `amount_usd` where it was paid for."""

    at: float
    kind: str
    detail: str
    amount_usd: Decimal | None = None


@dataclass(frozen=True)
class Row:
    """A process or a workflow, and what became of it.

    A strand is what came one after the other, such as the attempts of one activity and the waits
    between them. `life` is from its begin to its end. `interest` orders the rows that are
    worth a look first.
    """

    name: str
    strands: tuple[tuple[Span, ...], ...]
    marks: tuple[Mark, ...] = ()
    life: Span | None = None
    status: str = ""
    interest: int = 0


@dataclass(frozen=True)
class Happening:
    """One entry of the journal in words."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class Timeline:
    """A whole case. What is worth drawing lies between `first` and `last`.

    `kinds` are the types of its activities, in the order in which they first came.
    """

    first: float
    last: float
    faults: tuple[Span, ...]
    processes: tuple[Row, ...]
    workflows: tuple[Row, ...]
    happenings: tuple[Happening, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Clock:
    """Times as seconds from the begin; nothing is later than the end of the experiment."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, evidence: Evidence) -> Clock:
        """By the journal, which must not be empty."""
        ending = evidence.first_entry(Event.ENDING)
        return cls(evidence.journal[0].at, ending.at if ending else evidence.journal[-1].at)

    @property
    def last(self) -> float:
        """The end."""
        return self(self.end)

    def __call__(self, at: datetime) -> float:
        """A time in seconds."""
        return max(0.0, (at - self.begin).total_seconds())


def plain(name: str | None) -> str:
    """A name of the code as words."""
    return (name or "fault").replace("_", " ")
