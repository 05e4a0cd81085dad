"""Proofs that a link was bad at the planned moment, and what must hold of requests that met it.

That the toxic had an effect at all is for `chaos.invariants.proofs.network_was_hit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chaos.invariants import Invariant, proof
from chaos.network.journal import Closed, Hit, NetworkRecord, PutOn, TakenOff, read_links
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from workflows.payments.calls import State


def bad_throughout(link: str, toxic: str, workflow_id: str) -> Invariant:
    """A toxic was on a link from before a workflow's start until after its end."""

    @proof(f"bad_throughout[{link}: {toxic}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        workflow = evidence.workflows[workflow_id]
        end = workflow.closed_at
        if end is None or not any(
            on < workflow.started_at and (off is None or end < off)
            for on, off in spans(evidence, link, toxic)
        ):
            yield f"{toxic} was not on {link} while all of {workflow_id} ran"

    return judge


def awaited_when_hit(
    link: str, toxic: str, workflow_id: str, prompt: str, times: int = 1
) -> Invariant:
    """A toxic hit so often, each time while a workflow waited for a video that had been polled."""

    @proof(f"awaited_when_hit[{link}: {toxic}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        operations = {bill.operation for bill in evidence.billed if bill.prompt == prompt}
        polls = [
            request.at
            for request in evidence.received
            if request.call is Call.POLL and request.operation in operations
        ]
        waits = [
            (activity.scheduled_at, activity.closed_at)
            for activity in evidence.workflows[workflow_id].activities
            if activity.kind == "await_video" and activity.closed_at
        ]
        met = sum(
            any(begin < poll < on for poll in polls) and on < end
            for on, _ in spans(evidence, link, toxic, hit=True)
            for begin, end in waits
        )
        if met < times:
            yield f"{toxic} met {workflow_id} {met} time(s) at its wait for {prompt!r}, not {times}"

    return judge


def in_flight_when_hit(link: str, toxic: str, call: Call, prompt: str) -> Invariant:
    """A toxic was put on while a request lay unanswered with the provider."""

    @proof(f"in_flight_when_hit[{link}: {toxic}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        requests = [r for r in evidence.received if r.call is call and _is_for(evidence, r, prompt)]
        if not any(
            request.at < on and _unanswered(evidence, request, on)
            for on, _ in spans(evidence, link, toxic)
            for request in requests
        ):
            yield f"no {call} request for {prompt!r} was in flight when {toxic} was put on {link}"

    return judge


def nothing_is_in_doubt(workflow_id: str) -> Invariant:
    """A workflow's calls are all known to be billed or not: a request that cannot have left, or
    was answered, is no reason to doubt.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        for call in evidence.paid_calls:
            if call.operation_id == workflow_id and call.state not in {State.DONE, State.REFUSED}:
                yield f"request {call.number} for {call.step} is {call.state}: {call.reason}"

    return Invariant(f"nothing_is_in_doubt[{workflow_id}]", judge)


Span = tuple[datetime, datetime | None]


def spans(evidence: VideoEvidence, link: str, toxic: str, *, hit: bool = False) -> Iterator[Span]:
    """From each putting on of such a toxic until it was taken off (None: never); with `hit` only
    those that had an effect.
    """
    records = read_links(evidence.folder).get(link, ())
    for number, record in enumerate(records):
        if isinstance(record, PutOn) and record.toxic.type == toxic:
            rest = records[number:]
            ends = (r for r in rest if isinstance(r, TakenOff) and r.name == record.name)
            off = next(ends, None)
            span = rest[: rest.index(off)] if off else rest
            if not hit or any(_is_effect(one, record.name) for one in span):
                yield record.at, off.at if off else None


def _is_effect(record: NetworkRecord, name: str) -> bool:
    return (isinstance(record, Hit) and record.name == name) or (
        isinstance(record, Closed) and record.because == name
    )


def _is_for(evidence: VideoEvidence, request: Received, prompt: str) -> bool:
    """Whether a request is for a prompt, or for the video that was made of it."""
    if request.call in {Call.IMAGE, Call.VIDEO_START}:
        return request.prompt == prompt
    videos = [bill for bill in evidence.billed if bill.prompt == prompt]
    operations = {bill.operation for bill in videos if bill.operation}
    files = {bill.file for bill in videos if bill.file}
    return request.operation in operations or request.file in files


def _unanswered(evidence: VideoEvidence, request: Received, at: datetime) -> bool:
    answer = evidence.answers.get(request.request_id)
    return answer is None or answer.at > at
