"""Proofs that the server, or a process of its cluster, was down at the planned moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.seen import killed, lasted, were_gone_at_once
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


def cluster_was_struck(
    target: str, processes: Sequence[str], workflow_id: str, prompt: str
) -> Invariant:
    """All these processes of a cluster died of SIGKILL, were gone at the same time and came back,
    while the workflow had the wait for a video in hand.
    """

    @proof(f"cluster_was_struck[{target}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        fault = evidence.first_entry(Event.FAULT, target=target)
        if fault is None:
            yield f"{target} was not struck"
            return
        kills = [killed(evidence, process, after=fault.at) for process in processes]
        backs = [evidence.first_entry(Event.READY, after=fault.at, target=p) for p in processes]
        for process, kill, back in zip(processes, kills, backs, strict=True):
            if kill is None:
                yield f"{process} was not seen to die of SIGKILL"
            elif back is None or not _was_started_anew(evidence, kill, back):
                yield f"{process} was not seen to come back"
        if not were_gone_at_once(evidence, [kill for kill in kills if kill]):
            yield f"{', '.join(processes)} were not gone at the same time"
        moments = [kill.at for kill in kills if kill]
        if moments and not _in_hand(evidence, workflow_id, prompt, min(moments), max(moments)):
            yield f"{workflow_id} was not awaiting {prompt!r} when {target} was struck"

    return judge


def _was_started_anew(evidence: VideoEvidence, kill: Entry, back: Entry) -> bool:
    begun = evidence.first_entry(Event.STARTED, after=kill.at, target=kill.target)
    return begun is not None and begun.pid == back.pid != kill.pid


def _in_hand(
    evidence: VideoEvidence, workflow_id: str, prompt: str, start: datetime, end: datetime
) -> bool:
    """Whether a video was begun and asked about before, and its wait ended after. Who asks has been
    given the wait: its attempt may be lost to the fault, and then the history tells of the next.
    """
    bill = video(evidence, prompt)
    if bill is None or bill.at >= start or not any(p.at < start for p in polls_of(evidence, bill)):
        return False
    spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
    waits = [a for a in evidence.workflows[workflow_id].activities if a.kind == "await_video"]
    number = spec.video_prompts.index(prompt)
    if len(waits) <= number:
        return False
    wait = waits[number]
    return wait.scheduled_at < start and wait.closed_at is not None and end < wait.closed_at


def _waited_through(
    evidence: VideoEvidence, workflow_id: str, start: datetime, end: datetime
) -> bool:
    """Whether one attempt of a wait began before and ended after."""
    return any(
        activity.kind == "await_video" and lasted(activity, start, end)
        for activity in evidence.workflows[workflow_id].activities
    )
