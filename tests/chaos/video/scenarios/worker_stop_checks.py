"""What becomes of the work of a worker that is stopped or paused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, Late, proof
from chaos.invariants.doubt import of_repeated, of_unfinished
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.invariants.seen import PAID


def stopped_while_awaiting(worker: str, workflow_id: str) -> Invariant:
    """A worker got SIGTERM while it awaited a video, and ended in order."""

    @proof(f"stopped_while_awaiting[{worker}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        told = evidence.first_entry(Event.SIGNALED, target=worker, signal="SIGTERM")
        gone = evidence.first_entry(Event.EXITED, after=told.at, pid=told.pid) if told else None
        if told is None or gone is None or gone.exit_code != 0:
            yield f"{worker} was not told to stop, or did not end in order"
            return
        if not any(
            wait.worker.startswith(f"{told.pid}@")
            and wait.started_at
            and wait.closed_at
            and wait.started_at < told.at < wait.closed_at
            for wait in _waits(evidence, workflow_id)
        ):
            yield f"{worker} did not await the video of {workflow_id} when it was told to stop"

    return judge


def wait_is_handed_on(workflow_id: str, within_seconds: float) -> Invariant:
    """The wait for a video goes from one worker to another, with no attempt used up, at once."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        waits = _waits(evidence, workflow_id)
        if len({wait.worker for wait in waits}) < 2:
            yield f"the wait of {workflow_id} was not handed on to another worker"
        for wait in waits:
            if wait.attempt != 1:
                problem = f"the wait of {workflow_id} took {wait.attempt} attempts"
                yield of_repeated(evidence, evidence.workflows[workflow_id], wait, problem)
        for before, after in pairwise(waits):
            if before.closed_at is None or after.started_at is None:
                problem = f"the wait of {workflow_id} was left lying"
                yield of_unfinished(evidence.workflows[workflow_id], problem)
                continue
            gap = (after.started_at - before.closed_at).total_seconds()
            if gap > within_seconds:
                yield Late(f"the wait of {workflow_id} lay for {gap:.1f} s, not {within_seconds:g}")

    return Invariant(f"wait_is_handed_on[{workflow_id}]", judge)


def paused_during_request(worker: str, call: Call, prompt: str) -> Invariant:
    """A worker was paused after it had sent a request, and still was when the answer came."""

    @proof(f"paused_during_request[{worker}: {call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        spans = [
            (request.at, evidence.answers[request.request_id].at)
            for request in evidence.received
            if (request.call, request.prompt) == (call, prompt)
            and request.request_id in evidence.answers
        ]
        pauses = list(_pauses(evidence, worker))
        if not any(
            sent < paused.at < answered < resumed.at
            for sent, answered in spans
            for paused, resumed in pauses
        ):
            yield f"no {call} request of {worker} was answered while it was paused"

    return judge


def paused_during_wait(worker: str, workflow_id: str) -> Invariant:
    """A worker was paused while it awaited a video."""

    @proof(f"paused_during_wait[{worker}: {workflow_id}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        if not any(
            wait.scheduled_at < paused.at and wait.closed_at and paused.at < wait.closed_at
            for wait in _waits(evidence, workflow_id)
            for paused, _ in _pauses(evidence, worker)
        ):
            yield f"{worker} was not paused during the wait of {workflow_id}"

    return judge


def taken_over_while_paused(worker: str, workflow_id: str) -> Invariant:
    """Before the worker resumed, the workflow had ended with another one."""

    @proof(f"taken_over_while_paused[{worker}: {workflow_id}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        pauses = list(_pauses(evidence, worker))
        workflow = evidence.workflows.get(workflow_id)
        ended = workflow.closed_at if workflow else None
        if not ended or not any(paused.at < ended < resumed.at for paused, resumed in pauses):
            yield f"{workflow_id} had not ended while {worker} was paused"

    return judge


def sends_nothing_paid_when_it_resumes(worker: str) -> Invariant:
    """After the last pause of a worker whose work others have done, no paid request is sent."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        resumed = [resumed.at for _, resumed in _pauses(evidence, worker)]
        if not resumed:
            yield f"{worker} was not seen to resume"
            return
        for request in evidence.received:
            if request.call in PAID and request.at > resumed[-1]:
                yield f"a request for {request.prompt!r} was sent after {worker} resumed"

    return Invariant(f"sends_nothing_paid_when_it_resumes[{worker}]", judge)


def nothing_is_repeated(workflow_id: str) -> Invariant:
    """Each step is scheduled once and takes one attempt, and each paid request is sent once."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        videos = len(spec.video_prompts)
        wanted = {"open_operation": 1, "generate_character": 1}
        workflow = evidence.workflows[workflow_id]
        activities = workflow.activities
        for kind, count in Counter(activity.kind for activity in activities).items():
            if count > wanted.get(kind, videos):
                yield f"{workflow_id}: {kind} was scheduled {count} times"
        for activity in activities:
            if activity.attempt > 1:
                problem = f"{workflow_id}: {activity.kind} took {activity.attempt} attempts"
                yield of_repeated(evidence, workflow, activity, problem)
        sent = Counter(r.prompt for r in evidence.received if r.call in PAID)
        for prompt in spec.prompts:
            if sent[prompt] != 1:
                yield f"{prompt!r} was asked for {sent[prompt]} times"

    return Invariant(f"nothing_is_repeated[{workflow_id}]", judge)


def _waits(evidence: VideoEvidence, workflow_id: str) -> Sequence[Activity]:
    workflow = evidence.workflows.get(workflow_id)
    return [a for a in workflow.activities if a.kind == "await_video"] if workflow else []


def _pauses(evidence: VideoEvidence, worker: str) -> Iterator[tuple[Entry, Entry]]:
    """Each time that a worker was paused, and when it was resumed."""
    for paused in evidence.journal:
        if (paused.event, paused.target, paused.signal) == (Event.SIGNALED, worker, "SIGSTOP"):
            resumed = evidence.first_entry(
                Event.SIGNALED, after=paused.at, target=worker, pid=paused.pid, signal="SIGCONT"
            )
            if resumed:
                yield paused, resumed
