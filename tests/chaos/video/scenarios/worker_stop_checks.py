"""What becomes of the work of a worker that is told to stop, or that sleeps."""

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


def slept_during_request(worker: str, call: Call, prompt: str) -> Invariant:
    """A worker fell asleep after it had sent a request, and slept when the answer came."""

    @proof(f"slept_during_request[{worker}: {call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        spans = [
            (request.at, evidence.answers[request.request_id].at)
            for request in evidence.received
            if (request.call, request.prompt) == (call, prompt)
            and request.request_id in evidence.answers
        ]
        naps = list(_naps(evidence, worker))
        if not any(
            sent < slept.at < answered < woke.at for sent, answered in spans for slept, woke in naps
        ):
            yield f"no {call} request of {worker} was answered while it slept"

    return judge


def slept_during_wait(worker: str, workflow_id: str) -> Invariant:
    """A worker slept while the wait for a video was in its hand."""

    @proof(f"slept_during_wait[{worker}: {workflow_id}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        if not any(
            wait.scheduled_at < slept.at and wait.closed_at and slept.at < wait.closed_at
            for wait in _waits(evidence, workflow_id)
            for slept, _ in _naps(evidence, worker)
        ):
            yield f"{worker} did not sleep during the wait of {workflow_id}"

    return judge


def taken_over_while_asleep(worker: str, workflow_id: str) -> Invariant:
    """Before the sleeper woke up, the workflow had ended in the hands of another."""

    @proof(f"taken_over_while_asleep[{worker}: {workflow_id}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        naps = list(_naps(evidence, worker))
        workflow = evidence.workflows.get(workflow_id)
        ended = workflow.closed_at if workflow else None
        if not ended or not any(slept.at < ended < woke.at for slept, woke in naps):
            yield f"{workflow_id} had not ended while {worker} slept"

    return judge


def sends_nothing_paid_when_it_wakes(worker: str) -> Invariant:
    """After the last sleep of a worker whose work others have done, no paid request is sent."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        woke = [woke.at for _, woke in _naps(evidence, worker)]
        if not woke:
            yield f"{worker} was not seen to wake up"
            return
        for request in evidence.received:
            if request.call in PAID and request.at > woke[-1]:
                yield f"a request for {request.prompt!r} was sent after {worker} woke up"

    return Invariant(f"sends_nothing_paid_when_it_wakes[{worker}]", judge)


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


def _naps(evidence: VideoEvidence, worker: str) -> Iterator[tuple[Entry, Entry]]:
    """Each time that a worker was put to sleep, and when it was woken up."""
    for slept in evidence.journal:
        if (slept.event, slept.target, slept.signal) == (Event.SIGNALED, worker, "SIGSTOP"):
            woke = evidence.first_entry(
                Event.SIGNALED, after=slept.at, target=worker, pid=slept.pid, signal="SIGCONT"
            )
            if woke:
                yield slept, woke
