"""Proofs that a fault hit its target at the planned moment. Without them: unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.evidence import Evidence
from chaos.fake_api.ledger import Billed, Call, Received
from chaos.history import Activity
from chaos.invariants import Invariant, proof
from chaos.journal import Entry, Event
from workflows.models import Progress


def killed_during_request(worker: str, call: Call, prompt: str) -> Invariant:
    """A worker got SIGKILL and died while its request lay with the provider."""

    @proof(f"killed_during_request[{worker}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        kill = _killed(evidence, worker)
        if kill is None:
            yield f"{worker} was not seen to die of SIGKILL"
            return
        if not any(
            request.call is call
            and request.prompt == prompt
            and request.at < kill.at
            and _left_unanswered(evidence, request, kill.at)
            for request in evidence.received
        ):
            yield f"no {call} request was in flight when {worker} was killed"

    return judge


def killed_during_render(worker: str, workflow_id: str, prompt: str) -> Invariant:
    """A worker got SIGKILL and died while it awaited a video that another worker then fetched."""

    @proof(f"killed_during_render[{worker}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        kill = _killed(evidence, worker)
        if kill is None:
            yield f"{worker} was not seen to die of SIGKILL"
            return
        bill = _video(evidence, prompt)
        if not bill or bill.at >= kill.at:
            yield f"the video {prompt!r} was not begun before the kill"
        elif not evidence.live:  # a real provider shows nobody who polled it
            polls = _polls(evidence, bill)
            if not any(bill.at < poll.at < kill.at for poll in polls):
                yield f"the video {prompt!r} was not awaited before the kill"
            if not any(poll.at > kill.at for poll in polls):
                yield f"the video {prompt!r} was not awaited after the kill"
        waits = [
            activity
            for activity in evidence.workflows[workflow_id].activities
            if activity.kind == "await_video" and activity.lost_its_heartbeat
        ]
        if not any(not activity.worker.startswith(f"{kill.pid}@") for activity in waits):
            yield "the history has no wait that went silent and was taken up by another worker"

    return judge


def checkpoint_before_kill(worker: str, workflow_id: str, checkpoint: str) -> Invariant:
    """The workflow was seen past a checkpoint before its worker was killed."""

    @proof(f"checkpoint_before_kill[{checkpoint}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        kill = evidence.first_entry(Event.SIGNALED, target=worker, signal="SIGKILL")
        workflow = evidence.workflows.get(workflow_id)
        progress = workflow.result(Progress) if workflow else None
        passed = (
            [point.at for point in progress.checkpoints if point.name == checkpoint]
            if progress
            else []
        )
        if not kill or not passed or passed[0] >= kill.at:
            yield f"{worker} was not killed after {checkpoint}"

    return judge


def server_was_down(
    signal: str, workflow_id: str, prompt: str, at_least_seconds: float
) -> Invariant:
    """The server got the signal and ended while a video was awaited, was down for so long, and
    came back; meanwhile the worker went on asking the provider.
    """

    @proof(f"server_was_down[{signal}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        hit = evidence.first_entry(Event.SIGNALED, target="temporal-server", signal=signal)
        gone = evidence.first_entry(Event.EXITED, after=hit.at, pid=hit.pid) if hit else None
        if gone is None:
            yield f"the server was not seen to end after {signal}"
            return
        back = evidence.first_entry(Event.READY, after=gone.at, target="temporal-server")
        if back is None or (back.at - gone.at).total_seconds() < at_least_seconds:
            yield f"the server was not down for {at_least_seconds:g} s and then back"
            return
        bill = _video(evidence, prompt)
        polls = _polls(evidence, bill) if bill else []
        awaited = (
            _waited_through(evidence, workflow_id, gone.at, back.at)
            if evidence.live
            else any(gone.at < poll.at < back.at for poll in polls)
        )
        if not awaited:
            yield f"{workflow_id} was not awaiting its video while the server was down"

    return judge


def cluster_was_struck(
    target: str, processes: Sequence[str], workflow_id: str, prompt: str
) -> Invariant:
    """All these processes of a cluster died of SIGKILL, were gone at the same time and came back,
    while the workflow had the wait for a video in hand.
    """

    @proof(f"cluster_was_struck[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        fault = evidence.first_entry(Event.FAULT, target=target)
        if fault is None:
            yield f"{target} was not struck"
            return
        kills = [_killed(evidence, process, after=fault.at) for process in processes]
        backs = [evidence.first_entry(Event.READY, after=fault.at, target=p) for p in processes]
        for process, kill, back in zip(processes, kills, backs, strict=True):
            if kill is None:
                yield f"{process} was not seen to die of SIGKILL"
            elif back is None or back.pid == kill.pid:
                yield f"{process} was not seen to come back"
        if not _gone_together(evidence, processes, fault.at):
            yield f"{', '.join(processes)} were not gone at the same time"
        moments = [kill.at for kill in kills if kill]
        if moments and not _in_hand(evidence, workflow_id, prompt, min(moments), max(moments)):
            yield f"{workflow_id} was not awaiting {prompt!r} when {target} was struck"

    return judge


def provider_answered(call: Call, prompt: str, kind: str, times: int) -> Invariant:
    """The planned answer was given exactly so often."""

    @proof(f"provider_answered[{kind}]")
    def judge(evidence: Evidence) -> Iterator[str]:
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
    def judge(evidence: Evidence) -> Iterator[str]:
        workflows = evidence.workflows.values()
        ends = [workflow.closed_at for workflow in workflows if workflow.closed_at]
        begins = [workflow.started_at for workflow in workflows]
        if not begins or not ends or max(begins) >= min(ends):
            yield "the workflows did not overlap"

    return judge


def _killed(evidence: Evidence, target: str, after: datetime | None = None) -> Entry | None:
    """The SIGKILL that a process got and died of."""
    kill = evidence.first_entry(Event.SIGNALED, after=after, target=target, signal="SIGKILL")
    gone = evidence.first_entry(Event.EXITED, after=kill.at, pid=kill.pid) if kill else None
    return kill if gone and gone.exit_code == -9 else None


def _gone_together(evidence: Evidence, processes: Sequence[str], after: datetime) -> bool:
    """Whether the last of them had ended before the first was started again."""
    ends = [evidence.first_entry(Event.EXITED, after=after, target=p) for p in processes]
    starts = [evidence.first_entry(Event.STARTED, after=after, target=p) for p in processes]
    gone = [entry.at for entry in ends if entry]
    again = [entry.at for entry in starts if entry]
    return len(gone) == len(again) == len(processes) and max(gone) < min(again)


def _in_hand(
    evidence: Evidence, workflow_id: str, prompt: str, start: datetime, end: datetime
) -> bool:
    """Whether a video was begun, and by the history its wait lasted from before until after."""
    bill = _video(evidence, prompt)
    if bill is None or bill.at >= start or not any(p.at < start for p in _polls(evidence, bill)):
        return False
    asked = next(e for e in evidence.expectations if e.workflow_id == workflow_id)
    waits = [a for a in evidence.workflows[workflow_id].activities if a.kind == "await_video"]
    number = asked.video_prompts.index(prompt)
    return len(waits) > number and _lasted(waits[number], start, end)


def _left_unanswered(evidence: Evidence, request: Received, at: datetime) -> bool:
    answer = evidence.answers.get(request.request_id)
    return answer is None or (answer.at > at and not answer.client_connected)


def _waited_through(evidence: Evidence, workflow_id: str, start: datetime, end: datetime) -> bool:
    """Whether one attempt of a wait began before and ended after."""
    return any(
        activity.kind == "await_video" and _lasted(activity, start, end)
        for activity in evidence.workflows[workflow_id].activities
    )


def _lasted(activity: Activity, start: datetime, end: datetime) -> bool:
    return (
        activity.started_at is not None
        and activity.closed_at is not None
        and activity.started_at < start
        and end < activity.closed_at
    )


def _video(evidence: Evidence, prompt: str) -> Billed | None:
    return next((bill for bill in evidence.billed if bill.prompt == prompt), None)


def _polls(evidence: Evidence, bill: Billed) -> list[Received]:
    return [
        request
        for request in evidence.received
        if request.call is Call.POLL and request.operation == bill.operation
    ]
