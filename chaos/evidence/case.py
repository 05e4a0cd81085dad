"""What a case leaves behind, and how it is read: the only thing that invariants see.

A case's folder holds `journal.jsonl` (the harness), `histories/` (Temporal), `children/` (the
histories of their child workflows), `pending/` (what the open ones waited for at the end),
`specs.json` (the expected workflows), `samples.jsonl` (what was measured meanwhile), `bills.json`
(by the records of the paid services), `paid_requests.json` (by the workers' own record),
`refusals.json` (requests that a service answered with errors), `billing.json` (mode and prices),
`timings.json` (the target's timings), `network/` (the proxies' journals, one for each link) and
`logs/`. Services and workers may add files of their own, which a target's own kind of evidence
reads. On an external cluster the workflows' ids have a prefix, which is in `prefix.txt`. The
histories have these real ids; the prefix is removed when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from chaos.evidence.bills import Bill, Billing, Mode, PaidRequest, Refusal
from chaos.evidence.files import read_if_there, write_file
from chaos.evidence.headroom import Strain, worst
from chaos.evidence.histories import (
    CHILDREN,
    HISTORIES,
    history_name,
    load_children,
    load_histories,
)
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event, read_journal
from chaos.evidence.samples import Sample, read_samples
from chaos.evidence.spec import WorkflowSpec, cost_usd, load_specs

BILLING = "billing.json"
BILLS = "bills.json"
PAID_REQUESTS = "paid_requests.json"
REFUSALS = "refusals.json"
PREFIX = "prefix.txt"
TIMINGS = "timings.json"
OLD_TIMINGS = "promise.json"
"""What `timings.json` was called by the releases before 0.2."""

_Length = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]
"""A length of time. A value that is not one would let every recovery pass, or none."""


class Timings(BaseModel):
    """A target's timings, by which its recoveries are judged.

    Attributes:
        recovery_seconds: its promise: the longest that work stops after a fault, fault
            included. None: the bound is computed from the timeouts in the history.
        heartbeat_interval_seconds: the longest time between two heartbeats at the server, as in
            `max_heartbeat_throttle_interval`. None: the last one may be as old as the timeout.
        sticky_queue_seconds: the workers' sticky queue timeout; the SDK's is 10 s.
        keepalive_seconds: until a silent connection counts as dead; the SDK's is 30 s + 15 s.
        call_seconds: how long an activity of a type waits for an answer before it fails.

    """

    model_config = ConfigDict(frozen=True)

    recovery_seconds: _Length | None = None
    heartbeat_interval_seconds: _Length | None = None
    sticky_queue_seconds: _Length = 10.0
    keepalive_seconds: _Length = 45.0
    call_seconds: Mapping[str, _Length] = {}


@dataclass(frozen=True)
class Reading:
    """How a target's evidence is read beyond what its files say: `Target.reading`."""

    timings: Timings = field(default_factory=Timings)
    billing: Billing = field(default_factory=Billing)
    bills: Callable[[Path], Iterable[Bill]] = lambda _: ()
    paid_requests: Callable[[Path], Iterable[PaidRequest]] = lambda _: ()
    refusals: Callable[[Path], Iterable[Refusal]] = lambda _: ()
    data_converter: DataConverter = pydantic_data_converter


@dataclass(frozen=True)
class Evidence:
    """The saved evidence of one case. A target may have a subclass with more of its own.

    Attributes:
        folder: where it was read from.
        specs: the workflows that were expected.
        workflows: their histories, by id.
        journal: what the harness did and saw, in order.
        bills: what was paid, by the services' records.
        paid_requests: what was sent, by the workers' own record.
        refusals: requests that services answered with errors.
        billing: mode and prices.
        prefix: what the run put before each workflow id.
        timings: the target's timings.
        children: workflows that were started by expected ones, and not expected themselves.

    """

    spec_kind: ClassVar[type[WorkflowSpec]] = WorkflowSpec

    folder: Path
    specs: Sequence[WorkflowSpec]
    workflows: Mapping[str, Workflow]
    journal: Sequence[Entry]
    bills: Sequence[Bill] = ()
    paid_requests: Sequence[PaidRequest] = ()
    refusals: Sequence[Refusal] = ()
    billing: Billing = field(default_factory=Billing)
    prefix: str = ""
    timings: Timings = field(default_factory=Timings)
    children: Sequence[Workflow] = ()

    @classmethod
    def load(cls, folder: Path, reading: Reading | None = None) -> Self:
        """Read a case's folder."""
        return cls(**cls.read(folder, reading or Reading()))

    @classmethod
    def read(cls, folder: Path, reading: Reading) -> dict[str, Any]:
        """The fields of the evidence in a folder; a target's own kind adds its own."""
        prefix = load_prefix(folder)
        workflows = load_histories(folder / HISTORIES, prefix, reading.data_converter)
        journal = read_journal(folder / "journal.jsonl")
        is_troubled = any(entry.event is Event.TROUBLE for entry in journal)
        return {
            "folder": folder,
            "specs": load_specs(folder, cls.spec_kind),
            "workflows": workflows,
            "journal": journal,
            **{
                book.name: _load(
                    folder / book.file,
                    book.kind,
                    partial(book.read, reading, folder, is_troubled=is_troubled),
                )
                for book in BOOKS
            },
            "billing": _load(folder / BILLING, _BILLING, lambda: reading.billing),
            "prefix": prefix,
            "timings": _load(
                folder / TIMINGS,
                _TIMINGS,
                lambda: _load(folder / OLD_TIMINGS, _TIMINGS, lambda: reading.timings),
            ),
            "children": [
                child
                for child in load_children(folder / CHILDREN, reading.data_converter)
                if child.workflow_id.removeprefix(prefix) not in workflows
            ],
        }

    @property
    def all_workflows(self) -> Sequence[Workflow]:
        """The expected workflows, and the ones that they started."""
        return (*self.workflows.values(), *self.children)

    def descendants(self, workflow: Workflow) -> Sequence[Workflow]:
        """The workflows that it started, and theirs, unless they are expected themselves."""
        known = {(self.real_id(workflow.workflow_id), run.run_id) for run in workflow.runs}
        found: list[Workflow] = []
        waiting = list(self.children)
        while own := [child for child in waiting if child.parent in known]:
            waiting = [child for child in waiting if child not in own]
            known |= {(child.workflow_id, run.run_id) for child in own for run in child.runs}
            found += own
        return found

    @property
    def newest_specs(self) -> Sequence[WorkflowSpec]:
        """The last spec of each workflow: one that is started again is not to be paid twice."""
        return list({spec.workflow_id: spec for spec in self.specs}.values())

    @property
    def in_doubt(self) -> Sequence[PaidRequest]:
        """The requests that may have been paid for without a result."""
        return [request for request in self.paid_requests if request.in_doubt]

    @property
    def live(self) -> bool:
        """Whether real money was paid."""
        return self.billing.mode is Mode.LIVE

    def cost_usd(self, spec: WorkflowSpec) -> Decimal:
        """What an undisturbed run of a workflow costs here."""
        return cost_usd(spec, self.billing)

    @cached_property
    def strain(self) -> Strain | None:
        """How starved the machine was, at the worst; None where it was not measured."""
        told = [entry.strain for entry in self.journal if entry.strain]
        return worst(told) if told else None

    @cached_property
    def samples(self) -> Sequence[Sample]:
        """What was measured meanwhile; empty where nothing was. Raises SamplesError where the file
        is damaged.
        """
        return read_samples(self.folder)

    @cached_property
    def troubles(self) -> Sequence[str]:
        """Why the experiment did not go as planned; empty if it did."""
        return [entry.text for entry in self.journal if entry.event is Event.TROUBLE]

    def first_entry(
        self,
        event: Event,
        *,
        after: datetime | None = None,
        target: str | None = None,
        pid: int | None = None,
        signal: str | None = None,
    ) -> Entry | None:
        """The journal's first entry of that kind with all the given values."""
        wanted = {"target": target, "pid": pid, "signal": signal}
        given = {name: value for name, value in wanted.items() if value is not None}
        return next(
            (
                entry
                for entry in self.journal
                if entry.event is event
                and (after is None or entry.at > after)
                and all(getattr(entry, name) == value for name, value in given.items())
            ),
            None,
        )

    def real_id(self, workflow_id: str) -> str:
        """A workflow's id on the server and in the workers."""
        return f"{self.prefix}{workflow_id}"

    def history_file(self, workflow: Workflow) -> Path:
        """The file of a workflow's newest run."""
        name = history_name(self.real_id(workflow.workflow_id), len(workflow.runs))
        return self.folder / HISTORIES / name

    def specified_workflows(self) -> Iterator[tuple[WorkflowSpec, Workflow]]:
        """Each spec with its workflow, where that exists."""
        for spec in self.specs:
            workflow = self.workflows.get(spec.workflow_id)
            if workflow:
                yield spec, workflow


T = TypeVar("T")

_BILLS = TypeAdapter(tuple[Bill, ...])
_REQUESTS = TypeAdapter(tuple[PaidRequest, ...])
_REFUSALS = TypeAdapter(tuple[Refusal, ...])
_BILLING = TypeAdapter(Billing)
_TIMINGS = TypeAdapter(Timings)


def _load(file: Path, kind: TypeAdapter[T], otherwise: Callable[[], T]) -> T:
    content = read_if_there(file)
    return otherwise() if content is None else kind.validate_json(content, strict=True)


@dataclass(frozen=True)
class Book:
    """One record of payments: its field in the evidence, its file, its name."""

    name: str
    file: str
    kind: TypeAdapter[Any]
    text: str

    def read(self, reading: Reading, folder: Path, *, is_troubled: bool = False) -> tuple[Any, ...]:
        """By the target's own reader. If it raises, and the journal already has trouble, nothing is
        read.
        """
        try:
            return tuple(getattr(reading, self.name)(folder))
        except Exception:
            if is_troubled:
                return ()
            raise


BOOKS = (
    Book("bills", BILLS, _BILLS, "bills"),
    Book("paid_requests", PAID_REQUESTS, _REQUESTS, "paid requests"),
    Book("refusals", REFUSALS, _REFUSALS, "refusals"),
)


def save_billing(folder: Path, billing: Billing) -> None:
    """Save the mode and the prices of a case."""
    write_file(folder / BILLING, billing.model_dump_json())


def save_book(folder: Path, reading: Reading, book: Book) -> None:
    """Save one of the records of payments, so that reports need no target. Raises whatever a
    target's own reading raises.
    """
    write_file(folder / book.file, book.kind.dump_json(book.read(reading, folder), indent=1))


def save_books(folder: Path, reading: Reading) -> None:
    """Save all of them. Raises whatever a target's own reading raises."""
    for book in BOOKS:
        save_book(folder, reading, book)


def save_timings(folder: Path, timings: Timings) -> None:
    """Save the target's timings."""
    write_file(folder / TIMINGS, timings.model_dump_json())


def save_prefix(folder: Path, prefix: str) -> None:
    """Save the prefix of the workflows' ids on the server, if there is one."""
    if prefix:
        write_file(folder / PREFIX, prefix)


def load_prefix(folder: Path) -> str:
    """The prefix of the workflows' ids on the server."""
    return (read_if_there(folder / PREFIX) or b"").decode()
