"""Proofs that a worker died at a moment that the provider's books, or its progress, tell of."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.seen import killed
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.invariants.seen import polls_of, video, was_left_unanswered
from workflows.models import Progress


def killed_during_request(worker: str, call: Call, prompt: str) -> Invariant:
    """A worker got SIGKILL and died while its request lay with the provider."""

    @proof(f"killed_during_request[{worker}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kill = killed(evidence, worker)
        if kill is None:
            yield f"{worker} was not seen to die of SIGKILL"
            return
        if not any(
            request.call is call
            and request.prompt == prompt
            and request.at < kill.at
            and was_left_unanswered(evidence, request, kill.at)
            for request in evidence.received
        ):
            yield f"no {call} request was in flight when {worker} was killed"

    return judge


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


def checkpoint_before_kill(worker: str, workflow_id: str, checkpoint: str) -> Invariant:
    """The workflow was seen past a checkpoint before its worker was killed."""

    @proof(f"checkpoint_before_kill[{checkpoint}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
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
