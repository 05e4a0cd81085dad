"""Proofs that the provider answered as planned, and that the load was there."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.invariants import Invariant, proof
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call


def provider_answered(call: Call, prompt: str, kind: str, times: int) -> Invariant:
    """The planned answer was given exactly so often."""

    @proof(f"provider_answered[{kind}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        found = 0
        for request in evidence.received:
            answer = evidence.answers.get(request.request_id)
            if request.call is call and request.prompt == prompt and answer:
                found += answer.kind == kind
        if found != times:
            yield f"the {call} call was answered with {kind} {found} times, not {times}"

    return judge


def all_were_open_at_once() -> Invariant:
    """At some moment every expected workflow had begun and none had ended."""

    @proof("all_were_open_at_once")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        workflows = evidence.workflows.values()
        ends = [workflow.closed_at for workflow in workflows if workflow.closed_at]
        begins = [workflow.started_at for workflow in workflows]
        if not begins or not ends or max(begins) >= min(ends):
            yield "the workflows did not overlap"

    return judge
