"""What the provider answered to one workflow's requests, and what the workers made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chaos.invariants import Invariant, proof
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.specs import VideoSpec


@dataclass(frozen=True)
class Exchange:
    """A request with its answer. `kind` of an error status is `status 503`."""

    asked_at: datetime
    answered_at: datetime
    kind: str
    billed: bool
    client_stayed: bool

    @property
    def seconds(self) -> float:
        return (self.answered_at - self.asked_at).total_seconds()


def api_answered(
    spec: VideoSpec, call: Call, kind: str, *, times: int | None = 1, billed: bool | None = None
) -> Invariant:
    """Exactly so many of a workflow's requests (None: some) got that answer (`status 503` or a
    kind), all of them billed, or none, where that is said.
    """

    @proof(f"api_answered[{spec.workflow_id}: {call} {kind}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        found = [each for each in exchanges(evidence, spec, call) if each.kind == kind]
        if (not found) if times is None else len(found) != times:
            yield f"the {call} call was answered with {kind} {len(found)} times, not {times}"
        if billed is not None and any(each.billed is not billed for each in found):
            yield f"the {call} call that got {kind} was {'not ' if billed else ''}billed"

    return judge


def requests_of(evidence: VideoEvidence, spec: VideoSpec) -> Sequence[Received]:
    """A workflow's requests of all calls, in order."""
    bills = [bill for bill in evidence.billed if bill.prompt in spec.prompts]
    operations = {bill.operation for bill in bills if bill.operation}
    files = {bill.file for bill in bills if bill.file}
    return [
        request
        for request in evidence.received
        if request.prompt in spec.prompts
        or request.operation in operations
        or request.file in files
    ]


def exchanges(evidence: VideoEvidence, spec: VideoSpec, call: Call) -> Sequence[Exchange]:
    """A workflow's requests of that call that were answered, or left, in order."""
    billed = {bill.request_id for bill in evidence.billed}
    found = []
    for request in requests_of(evidence, spec):
        answer = evidence.answers.get(request.request_id)
        if request.call is call and answer:
            error = f"{answer.kind} {answer.status}"
            found.append(
                Exchange(
                    asked_at=request.at,
                    answered_at=answer.at,
                    kind=error if answer.kind == "status" else answer.kind,
                    billed=request.request_id in billed,
                    client_stayed=answer.client_connected,
                )
            )
    return found
