"""What a failing API must not lead to: a key given away, or a video bought without a decision."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from chaos.invariants import Invariant
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.answers import requests_of
from tests.chaos.video.specs import VideoSpec


def key_stays_at_its_host(spec: VideoSpec) -> Invariant:
    """Requests of a workflow that were redirected to another host came there without the key."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        elsewhere = [each for each in requests_of(evidence, spec) if each.redirected]
        if not elsewhere:
            yield f"{spec.workflow_id}: no request went to another host"
        for each in elsewhere:
            answer = evidence.answers.get(each.request_id)
            if each.key_valid or (answer and answer.kind == "key_given_away"):
                yield f"{spec.workflow_id}: the key was sent to another host, with a {each.call}"

    return Invariant(f"key_stays_at_its_host[{spec.workflow_id}]", judge)


def bought_again_by_decision(spec: VideoSpec) -> Invariant:
    """Each prompt that was billed again was so only after somebody had decided it: there are as
    many `decide` signals in the history before, and never fewer.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        workflow = evidence.workflows[spec.workflow_id]
        decided = [
            signal
            for run in workflow.runs
            for signal in run.events
            if signal.workflow_execution_signaled_event_attributes.signal_name == "decide"
        ]
        for prompt in spec.prompts:
            again = [bill.at for bill in evidence.billed if bill.prompt == prompt][1:]
            for number, at in enumerate(again, start=1):
                before = [e for e in decided if e.event_time.ToDatetime(tzinfo=UTC) < at]
                if len(before) < number:
                    yield f"{prompt!r} was bought again, and nobody had decided it"

    return Invariant(f"bought_again_by_decision[{spec.workflow_id}]", judge)


def undelivered_costs_nothing(spec: VideoSpec) -> Invariant:
    """A video that was begun and not delivered is billed with nothing, and begun again."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        bills = [bill for bill in evidence.billed if bill.prompt in spec.video_prompts]
        undelivered = [bill for bill in bills if bill.sha256 is None]
        paid = [bill for bill in bills if bill.amount_usd]
        if not undelivered or any(bill.amount_usd for bill in undelivered):
            yield f"{spec.workflow_id} has no undelivered video that cost nothing"
        if len(paid) != len(spec.video_prompts):
            yield f"{spec.workflow_id}: {len(paid)} videos were paid for"

    return Invariant(f"undelivered_costs_nothing[{spec.workflow_id}]", judge)
