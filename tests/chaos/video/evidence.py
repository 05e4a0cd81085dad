"""What a case of the video system leaves behind, beside what any does.

`ledger.jsonl` are the provider's bills, `paid_calls.json` is the workers' own record of paid calls,
and `artifacts/` holds what they kept. A real provider shows nobody its bills: in live mode
`ledger.jsonl` is written from the workers' record, and each call that may have been billed counts
as billed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter

from chaos.evidence.bills import Bill, PaidRequest, Refusal
from chaos.evidence.case import Evidence, Reading, load_prefix
from chaos.evidence.files import read_if_there, write_file
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry
from chaos.evidence.spec import WorkflowSpec, load_specs
from tests.chaos.video.fake_api.bills import (
    Answered,
    Billed,
    Call,
    Item,
    Received,
    Record,
    read_bills,
    to_line,
)
from tests.chaos.video.specs import VideoSpec
from workflows.models import CHARACTER
from workflows.payments.calls import UNCERTAIN, PaidCall, State, outcome_of
from workflows.payments.journal import PaymentJournal
from workflows.policies import JOURNAL_GRACE_SECONDS

FAKE_API = "api"
"""What the journal calls it, as the target of a fault."""
BILLS = "ledger.jsonl"
"""The provider's bills; the name is that of the evidence of older runs, too."""
PAID_CALLS = "paid_calls.json"

_CALLS = TypeAdapter(tuple[PaidCall, ...])


@dataclass(frozen=True)
class VideoEvidence(Evidence):
    """With the records of both sides. `records` are the provider's."""

    spec_kind: ClassVar[type[WorkflowSpec]] = VideoSpec

    specs: Sequence[VideoSpec]
    records: Sequence[Record] = ()
    paid_calls: Sequence[PaidCall] = ()

    @classmethod
    def read(cls, folder: Path, reading: Reading) -> dict[str, Any]:
        """The fields of the evidence in a folder."""
        fields = super().read(folder, reading)
        return {
            **fields,
            "journal": tuple(map(_renamed, fields["journal"])),
            "records": read_bills(folder / BILLS),
            "paid_calls": _load_paid_calls(folder),
        }

    @cached_property
    def received(self) -> Sequence[Received]:
        """Every request that the provider saw."""
        return [record for record in self.records if isinstance(record, Received)]

    @cached_property
    def billed(self) -> Sequence[Billed]:
        """Everything that the provider billed."""
        return [record for record in self.records if isinstance(record, Billed)]

    @cached_property
    def answers(self) -> dict[str, Answered]:
        """The provider's answers, by request id."""
        return {r.request_id: r for r in self.records if isinstance(r, Answered)}

    def specified_workflows(self) -> Iterator[tuple[VideoSpec, Workflow]]:
        """Each spec with its workflow, where that exists."""
        for spec in self.specs:
            if workflow := self.workflows.get(spec.workflow_id):
                yield spec, workflow

    def calls_for(self, spec: VideoSpec, prompt: str) -> Sequence[PaidCall]:
        """The requests for a prompt, by the workers' own record."""
        step = spec.steps[prompt]
        return [
            call
            for call in self.paid_calls
            if (call.operation_id, call.step) == (spec.workflow_id, step)
        ]


def _renamed(entry: Entry) -> Entry:
    """Before release 0.2 the fake API's process had another name."""
    return entry.model_copy(update={"target": FAKE_API}) if entry.target == "fake-api" else entry


def bills(folder: Path) -> Iterator[Bill]:
    """What the provider billed: the key is the prompt."""
    for record in read_bills(folder / BILLS):
        if isinstance(record, Billed):
            yield Bill(
                at=record.at,
                item=str(record.item),
                key=record.prompt,
                amount_usd=record.amount_usd,
            )


def paid_requests(folder: Path) -> Iterator[PaidRequest]:
    """The workers' own record of what they paid for."""
    keys = {
        (spec.workflow_id, step): prompt
        for spec in _specs(folder)
        for prompt, step in spec.steps.items()
    }
    for call in _load_paid_calls(folder):
        yield PaidRequest(
            operation_id=call.operation_id,
            step=call.step,
            number=call.number,
            item=str(call.item),
            cost_usd=call.cost_usd,
            state=str(call.state),
            reason=call.reason,
            sent_at=call.sent_at,
            key=keys.get((call.operation_id, call.step), ""),
            in_doubt=call.state in UNCERTAIN,
        )


def refusals(folder: Path) -> Iterator[Refusal]:
    """What the provider did not answer as it should."""
    records = read_bills(folder / BILLS)
    owners = {prompt: spec.workflow_id for spec in _specs(folder) for prompt in spec.prompts}
    for bill in records:
        if isinstance(bill, Billed):
            owner = owners.get(bill.prompt)
            owners |= {name: owner for name in (bill.operation, bill.file) if name and owner}
    requests = {r.request_id: r for r in records if isinstance(r, Received)}
    for answer in records:
        if isinstance(answer, Answered) and answer.kind != "ok":
            request = requests.get(answer.request_id)
            names = (request.prompt, request.operation, request.file) if request else ()
            status = f" (HTTP {answer.status})" if answer.status else ""
            call = request.call if request else "request"
            yield Refusal(
                at=answer.at,
                service=FAKE_API,
                workflow_id=next((owners[n] for n in names if n and n in owners), None),
                text=f"answer to {call}: {answer.kind}{status}",
            )


def _specs(folder: Path) -> Sequence[VideoSpec]:
    return [spec for spec in load_specs(folder, VideoSpec) if isinstance(spec, VideoSpec)]


def bills_about(folder: Path, spec: VideoSpec) -> bytes:
    """The provider's records of one workflow: by its prompts, and by what its videos are called."""
    records = read_bills(folder / BILLS)
    bills = [r for r in records if isinstance(r, Billed) and r.prompt in spec.prompts]
    names = {name for bill in bills for name in (bill.operation, bill.file) if name}
    wanted = {bill.request_id for bill in bills} | {
        record.request_id
        for record in records
        if isinstance(record, Received)
        and (record.prompt in spec.prompts or names & {record.operation, record.file})
    }
    return b"".join(to_line(record) for record in records if record.request_id in wanted)


def save_paid_calls(url: str, folder: Path, operation_ids: Sequence[str]) -> None:
    """Save what the workers' payment journal holds of these operations. Raises JournalError."""
    with closing(PaymentJournal.open(url, grace_seconds=JOURNAL_GRACE_SECONDS)) as journal:
        calls = tuple(call for call in journal.calls() if call.operation_id in operation_ids)
    write_file(folder / PAID_CALLS, _CALLS.dump_json(calls, indent=2))


def save_live_bills(folder: Path, specs: Sequence[VideoSpec]) -> None:
    """Write the provider's side of a live case from the workers' own payment journal."""
    prompts = {
        (spec.workflow_id, step): prompt for spec in specs for prompt, step in spec.steps.items()
    }
    calls = _load_paid_calls(folder)
    characters = {
        spec.workflow_id: outcome_of(
            [c for c in calls if (c.operation_id, c.step) == (spec.workflow_id, CHARACTER)]
        )
        for spec in specs
    }
    lines = [
        to_line(record)
        for call in calls
        for record in _as_the_provider(
            call, prompts[call.operation_id, call.step], characters[call.operation_id]
        )
    ]
    write_file(folder / BILLS, b"".join(lines))


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
            client_connected=call.state is not State.IN_DOUBT,
            sha256=sha256,
        )


def _sha256(call: PaidCall | None) -> str | None:
    return call.artifact.sha256 if call and call.artifact else None


def _load_paid_calls(folder: Path) -> Sequence[PaidCall]:
    content, prefix = read_if_there(folder / PAID_CALLS), load_prefix(folder)
    calls = () if content is None else _CALLS.validate_json(content, strict=True)
    return tuple(
        call.model_copy(update={"operation_id": call.operation_id.removeprefix(prefix)})
        for call in calls
    )
