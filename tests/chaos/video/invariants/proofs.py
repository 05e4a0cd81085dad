"""Proofs that more than one scenario needs: that a fault hit, and that the load was there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.process import killed, lasted
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.seen import polls_of, video


def server_was_down(
    signal: str, workflow_id: str, prompt: str, at_least_seconds: float
) -> Invariant:
    """The server got the signal and ended while a video was awaited, was down for so long, and
    came back; meanwhile the worker went on asking the provider.
    """

    @proof(f"server_was_down[{signal}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        hit = evidence.first_entry(Event.SIGNALED, target="temporal-server", signal=signal)
        gone = evidence.first_entry(Event.EXITED, after=hit.at, pid=hit.pid) if hit else None
        if gone is None:
            yield f"the server was not seen to end after {signal}"
            return
        back = evidence.first_entry(Event.READY, after=gone.at, target="temporal-server")
        if back is None or (back.at - gone.at).total_seconds() < at_least_seconds:
            yield f"the server was not down for {at_least_seconds:g} s and then back"
            return
        bill = video(evidence, prompt)
        polls = polls_of(evidence, bill) if bill else []
        awaited = (
            _waited_through(evidence, workflow_id, gone.at, back.at)
            if evidence.live
            else any(gone.at < poll.at < back.at for poll in polls)
        )
        if not awaited:
            yield f"{workflow_id} was not awaiting its video while the server was down"

    return judge


def _waited_through(
    evidence: VideoEvidence, workflow_id: str, start: datetime, end: datetime
) -> bool:
    """Whether one attempt of a wait began before and ended after."""
    return any(
        activity.kind == "await_video" and lasted(activity, start, end)
        for activity in evidence.workflows[workflow_id].activities
    )


def killed_during_render(worker: str, workflow_id: str, prompt: str) -> Invariant:
    """A worker got SIGKILL and died while it awaited a video that another worker then fetched."""

    @proof(f"killed_during_render[{worker}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kill = killed(evidence, worker)
        if kill is None:
            yield f"{worker} was not seen to die of SIGKILL"
            return
        bill = video(evidence, prompt)
        if not bill or bill.at >= kill.at:
            yield f"the video {prompt!r} was not begun before the kill"
        elif not evidence.live:  # a real provider shows nobody who polled it
            polls = polls_of(evidence, bill)
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
