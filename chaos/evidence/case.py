"""What a case leaves behind, and the reading of it: the only thing that invariants see.

A case's folder holds `journal.jsonl` (the harness), `ledger.jsonl` (the provider), `histories/`
(Temporal), `children/` (likewise, of workflows that these started), `paid_calls.json` (the workers'
own ledger), `expectations.json` (what was asked for), `billing.json` (mode and prices), `network/`
(the proxies' journals, one for each link), `artifacts/` and `logs/`. Of a system that is not the
suite's own, `promise.json` has the recovery that it promises; its services may put files of their
own beside them.

On a cluster that others use, the workflows' ids have a prefix there, which `prefix.txt` holds. The
histories, the paid calls and the artifacts have these real ids; it is taken off when they are read.

A real provider shows nobody its books. In live mode `ledger.jsonl` is written from the workers'
own ledger, and each call that may have been billed counts as billed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.billing import REFERENCE, Billing, Mode
from chaos.evidence.files import read_file, read_if_there, write_file
from chaos.evidence.headroom import Strain, worst
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Entry, Event, read_journal
from chaos.network.journal import NetworkRecord, read_network_journal
from tests.chaos.video.fake_api.ledger import (
    Answered,
    Billed,
    Call,
    Item,
    Received,
    Record,
    read_ledger,
    to_line,
)
from workflows.ledger import Ledger
from workflows.models import CHARACTER, video_step
from workflows.paid_calls import PaidCall, State, outcome_of
from workflows.policies import HEARTBEAT_INTERVAL, LEDGER_GRACE_SECONDS

HISTORIES = "histories"
CHILDREN = "children"
BILLING = "billing.json"
PAID_CALLS = "paid_calls.json"
PREFIX = "prefix.txt"
PROMISE = "promise.json"
NETWORK = "network"


class Expectation(BaseModel):
    """What one workflow was asked for and how it should end.

    The prompts are those of the suite's own workflows, `arguments` what any other is started with.
    `made` says how many of its prompts, the character's first, are made and paid for, once each.
    `may_be_billed_twice` names those whose request a fault cut off in flight, where no client
    can know whether it was billed. `attempts` is the highest attempt of each activity type;
    types that are not named need one.
    """

    model_config = ConfigDict(frozen=True)

    workflow_id: str
    workflow_type: str
    character_prompt: str = ""
    video_prompts: tuple[str, ...] = ()
    made: int = 0
    checkpoints: tuple[str, ...] = ()
    arguments: tuple[Any, ...] = ()
    status: Status = Status.COMPLETED
    failure_names: tuple[str, ...] = ()
    may_be_billed_twice: tuple[str, ...] = ()
    attempts: Mapping[str, int] = {}

    @property
    def prompts(self) -> tuple[str, ...]:
        """The character's, then the videos' in order."""
        return (self.character_prompt, *self.video_prompts) if self.character_prompt else ()

    @property
    def steps(self) -> Mapping[str, str]:
        """The step of the workflow that each prompt is for."""
        videos = [video_step(number) for number, _ in enumerate(self.video_prompts, start=1)]
        return dict(zip(self.prompts, (CHARACTER, *videos), strict=False))

    @property
    def ideal(self) -> Counter[tuple[Item, str]]:
        """How often each image and video, by prompt, has to be billed."""
        items = [(Item.IMAGE, self.character_prompt)]
        items += [(Item.VIDEO, prompt) for prompt in self.video_prompts]
        return Counter(items[: self.made])


def ideal_cost_usd(expected: Expectation, billing: Billing) -> Decimal:
    """What an undisturbed run of a workflow costs."""
    return sum(
        (billing.prices_usd[item] * count for (item, _), count in expected.ideal.items()),
        Decimal(0),
    )


_OWN_INTERVAL_SECONDS = HEARTBEAT_INTERVAL.total_seconds()
"""Of the suite's own workers, which promise nothing."""

_EXPECTATIONS = TypeAdapter(tuple[Expectation, ...])
_CALLS = TypeAdapter(tuple[PaidCall, ...])


@dataclass(frozen=True)
class Evidence:
    """The saved testimony of all three witnesses of one case, and what the system promises."""

    folder: Path
    expectations: Sequence[Expectation]
    workflows: Mapping[str, Workflow]
    journal: Sequence[Entry]
    ledger: Sequence[Record]
    paid_calls: Sequence[PaidCall] = ()
    billing: Billing = REFERENCE
    prefix: str = ""
    recovery_seconds: float | None = None
    heartbeat_interval_seconds: float | None = _OWN_INTERVAL_SECONDS
    children: Sequence[Workflow] = ()

    @classmethod
    def load(cls, folder: Path) -> Evidence:
        """Read a case's folder."""
        prefix = _load_prefix(folder)
        promise = _load_promise(folder)
        return cls(
            folder=folder,
            expectations=_EXPECTATIONS.validate_json(
                read_file(folder / "expectations.json"), strict=True
            ),
            workflows=_load_histories(folder / HISTORIES, prefix),
            journal=read_journal(folder / "journal.jsonl"),
            ledger=read_ledger(folder / "ledger.jsonl"),
            paid_calls=_load_paid_calls(folder),
            billing=_load_billing(folder / BILLING),
            prefix=prefix,
            recovery_seconds=promise.recovery_seconds if promise else None,
            heartbeat_interval_seconds=(
                promise.heartbeat_interval_seconds if promise else _OWN_INTERVAL_SECONDS
            ),
            children=_load_children(folder / CHILDREN),
        )

    @property
    def all_workflows(self) -> Sequence[Workflow]:
        """Those that were asked for, and those that they started themselves."""
        return (*self.workflows.values(), *self.children)

    @property
    def live(self) -> bool:
        """Whether a real API was paid."""
        return self.billing.mode is Mode.LIVE

    def ideal_cost_usd(self, expected: Expectation) -> Decimal:
        """What an undisturbed run of a workflow costs here."""
        return ideal_cost_usd(expected, self.billing)

    @cached_property
    def received(self) -> Sequence[Received]:
        """Every request that the provider saw."""
        return [record for record in self.ledger if isinstance(record, Received)]

    @cached_property
    def billed(self) -> Sequence[Billed]:
        """Everything that the provider billed."""
        return [record for record in self.ledger if isinstance(record, Billed)]

    @cached_property
    def answers(self) -> Mapping[str, Answered]:
        """The provider's answers, by request id."""
        return {r.request_id: r for r in self.ledger if isinstance(r, Answered)}

    def calls_for(self, expected: Expectation, prompt: str) -> Sequence[PaidCall]:
        """The requests for a prompt, by the workers' own ledger."""
        step = expected.steps[prompt]
        return [
            call
            for call in self.paid_calls
            if (call.operation_id, call.step) == (expected.workflow_id, step)
        ]

    @cached_property
    def network(self) -> Mapping[str, Sequence[NetworkRecord]]:
        """What each proxy wrote down, by its link, such as `worker-1>server`."""
        files = sorted((self.folder / NETWORK).glob("*.jsonl"))
        return {_link_of(file): read_network_journal(file) for file in files}

    @cached_property
    def strain(self) -> Strain | None:
        """How starved the machine was, at the worst; None where nobody has measured it."""
        told = [entry.strain for entry in self.journal if entry.strain]
        return worst(told) if told else None

    @cached_property
    def troubles(self) -> Sequence[str]:
        """Why the experiment did not go as planned; empty where it did."""
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
        """The journal's first entry of that kind, and of all else that is given."""
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
        """A workflow's id as the server and the workers have it."""
        return f"{self.prefix}{workflow_id}"

    def history_file(self, workflow: Workflow) -> Path:
        """Where the history of a workflow's newest run is."""
        name = _history_name(self.real_id(workflow.workflow_id), len(workflow.runs))
        return self.folder / HISTORIES / name

    def expected_workflows(self) -> Iterator[tuple[Expectation, Workflow]]:
        """Each expectation with its workflow, where that exists."""
        for expectation in self.expectations:
            workflow = self.workflows.get(expectation.workflow_id)
            if workflow:
                yield expectation, workflow


def save_expectations(folder: Path, expectations: Sequence[Expectation]) -> None:
    """Write down what was asked for."""
    data = _EXPECTATIONS.dump_json(tuple(expectations), indent=1)
    write_file(folder / "expectations.json", data)


async def save_histories(
    client: Client,
    folder: Path,
    workflow_ids: Sequence[str],
    started: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Fetch and write the histories of all runs; a workflow that is gone leaves no file.

    `started` has the first run of each start, where an id was started more than once.
    """
    target = folder / HISTORIES
    _save_runs(target, "", ())  # the folder is there even where all of them are gone
    for workflow_id in workflow_ids:
        earlier = ((started or {}).get(workflow_id) or ())[:-1]
        runs = [run for first in earlier for run in await _fetch_from(client, workflow_id, first)]
        runs += await _fetch_runs(client, workflow_id)
        _save_runs(target, workflow_id, runs)
        await _save_children(client, folder / CHILDREN, runs)


def _save_runs(target: Path, name: str, runs: Sequence[WorkflowHistory]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, start=1):
        # As Temporal's own UI and CLI export and import it.
        write_file(target / _history_name(name, number), run.to_json())


async def _save_children(client: Client, target: Path, runs: Sequence[WorkflowHistory]) -> None:
    """What the workflows had in hand that these runs started, and so on. Their ids are anybody's
    text, and no name of a file.
    """
    waiting = [child for run in runs for child in _children_of(run)]
    while waiting:
        workflow_id, run_id = waiting.pop()
        name = hashlib.sha256(f"{workflow_id}\0{run_id}".encode()).hexdigest()[:32]
        runs = await _fetch_from(client, workflow_id, run_id)
        _save_runs(target, name, runs)
        waiting += [child for run in runs for child in _children_of(run)]


def _children_of(run: WorkflowHistory) -> Iterator[tuple[str, str]]:
    for event in run.events:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            yield child.workflow_id, child.run_id


def save_paid_calls(url: str, folder: Path, operation_ids: Sequence[str]) -> None:
    """Save what the workers' ledger holds of these operations. Raises LedgerError."""
    with closing(Ledger.open(url, grace_seconds=LEDGER_GRACE_SECONDS)) as ledger:
        calls = tuple(call for call in ledger.calls() if call.operation_id in operation_ids)
    write_file(folder / PAID_CALLS, _CALLS.dump_json(calls, indent=2))


def save_live_ledger(folder: Path, expectations: Sequence[Expectation]) -> None:
    """Write the provider's side of a live case from the workers' own ledger."""
    prompts = {
        (asked.workflow_id, step): prompt
        for asked in expectations
        for prompt, step in asked.steps.items()
    }
    calls = _load_paid_calls(folder)
    characters = {
        asked.workflow_id: outcome_of(
            [c for c in calls if (c.operation_id, c.step) == (asked.workflow_id, CHARACTER)]
        )
        for asked in expectations
    }
    lines = [
        to_line(record)
        for call in calls
        for record in _as_the_provider(
            call, prompts[call.operation_id, call.step], characters[call.operation_id]
        )
    ]
    write_file(folder / "ledger.jsonl", b"".join(lines))


def _as_the_provider(call: PaidCall, prompt: str, character: PaidCall | None) -> Iterator[Record]:
    request_id = f"{call.operation_id}/{call.step}/{call.number}"
    image = call.step == CHARACTER
    sha256 = _sha256(call)
    yield Received(
        at=call.sent_at,
        request_id=request_id,
        call=Call.IMAGE if image else Call.VIDEO_START,
        model=call.model,
        prompt=prompt,
        image_sha256=None if image else _sha256(character),
        key_valid=True,
    )
    if call.state is not State.REFUSED:
        yield Billed(
            at=call.sent_at,
            request_id=request_id,
            item=Item.IMAGE if image else Item.VIDEO,
            model=call.model,
            prompt=prompt,
            amount_usd=call.cost_usd,
            sha256=sha256,
            operation=call.provider_operation,
        )
    if call.settled_at:
        yield Answered(
            at=call.settled_at,
            request_id=request_id,
            kind="ok" if call.state in {State.DONE, State.LATE} else str(call.state),
            status=None,
            client_connected=call.state is not State.AMBIGUOUS,
            sha256=sha256,
        )


def _sha256(call: PaidCall | None) -> str | None:
    return call.artifact.sha256 if call and call.artifact else None


def save_billing(folder: Path, billing: Billing) -> None:
    """Save who bills for a case, and at which prices."""
    write_file(folder / BILLING, billing.model_dump_json())


def _load_billing(file: Path) -> Billing:
    content = read_if_there(file)
    return REFERENCE if content is None else Billing.model_validate_json(content, strict=True)


_Length = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]
"""A length of time. What is none would let every recovery pass, or none."""


class Promise(BaseModel):
    """What a system says of itself: how soon work goes on after a fault, and how often at the least
    a heartbeat of its workers reaches the server. The second may be unknown.
    """

    model_config = ConfigDict(frozen=True)

    recovery_seconds: _Length
    heartbeat_interval_seconds: _Length | None = None


def save_promise(folder: Path, promise: Promise) -> None:
    """Save what the system under test says of itself."""
    write_file(folder / PROMISE, promise.model_dump_json())


def _load_promise(folder: Path) -> Promise | None:
    content = read_if_there(folder / PROMISE)
    return None if content is None else Promise.model_validate_json(content, strict=True)


def save_prefix(folder: Path, prefix: str) -> None:
    """Save what the workflows' ids begin with on the server; nothing where that is nothing."""
    if prefix:
        write_file(folder / PREFIX, prefix)


def _load_prefix(folder: Path) -> str:
    return (read_if_there(folder / PREFIX) or b"").decode()


def _load_paid_calls(folder: Path) -> Sequence[PaidCall]:
    content, prefix = read_if_there(folder / PAID_CALLS), _load_prefix(folder)
    calls = () if content is None else _CALLS.validate_json(content, strict=True)
    return tuple(
        call.model_copy(update={"operation_id": call.operation_id.removeprefix(prefix)})
        for call in calls
    )


def _link_of(journal: Path) -> str:
    client, _, upstream = journal.stem.rpartition("-to-")
    return f"{client}>{upstream}"


def _history_name(workflow_id: str, number: int) -> str:
    return f"{workflow_id}.run-{number}.json"


async def _fetch_from(client: Client, workflow_id: str, first: str) -> Sequence[WorkflowHistory]:
    """A run of a start that has ended, and the runs as which it continued."""
    runs: list[WorkflowHistory] = []
    run_id = first
    while run_id:
        try:
            history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return runs
            raise
        runs.append(history)
        closing = history.events[-1]
        run_id = closing.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return runs


async def _fetch_runs(client: Client, workflow_id: str) -> Sequence[WorkflowHistory]:
    """All runs, oldest first: each run's first event names the run before it."""
    runs: list[WorkflowHistory] = []
    run_id: str | None = None
    while True:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            history = await handle.fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return runs
            raise
        runs.insert(0, history)
        attributes = history.events[0].workflow_execution_started_event_attributes
        run_id = attributes.continued_execution_run_id
        if not run_id:
            return runs


def _load_histories(folder: Path, prefix: str) -> Mapping[str, Workflow]:
    found: dict[str, dict[int, WorkflowHistory]] = {}
    for file in sorted(folder.glob("*.json")):
        workflow_id, _, number = file.stem.rpartition(".run-")
        history = WorkflowHistory.from_json(workflow_id, read_file(file).decode())
        found.setdefault(workflow_id, {})[int(number)] = history
    return {
        workflow_id.removeprefix(prefix): Workflow(
            workflow_id.removeprefix(prefix), tuple(runs[number] for number in sorted(runs))
        )
        for workflow_id, runs in found.items()
    }


def _load_children(folder: Path) -> Sequence[Workflow]:
    """Each by the id that its first event tells; the names of their files are none."""
    found = _load_histories(folder, "").values()
    return tuple(replace(child, workflow_id=_id_in(child.runs[0])) for child in found)


def _id_in(run: WorkflowHistory) -> str:
    return str(run.events[0].workflow_execution_started_event_attributes.workflow_id)
