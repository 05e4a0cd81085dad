"""What a slow or silent API must lead to: waits, deadlines, and no second payment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from chaos.evidence.history import Status, Workflow
from chaos.invariants import Invariant, proof
from chaos.invariants.doubt import Tolerance, unless_about
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.invariants.answers import exchanges
from tests.chaos.video.specs import VideoSpec

TOLERANCE = Tolerance(early_seconds=2.0, late_seconds=8.0)
"""How much sooner or later than planned something may seem to be on a busy machine: the provider
writes down a request when it has read it, and an answer when it has left.
"""


_NO_FAULT = frozenset(
    {"ok", "rai_filtered", "failed_operation"} | {"undelivered", "expired", "inline", "drafts"}
)


def api_was_slow(
    spec: VideoSpec, call: Call, at_least_seconds: float, *, times: int = 1
) -> Invariant:
    """So many of a workflow's requests got a good answer, and only after that time."""

    @proof(f"api_was_slow[{spec.workflow_id}: {call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        slow = [
            each
            for each in exchanges(evidence, spec, call)
            if each.kind == "ok" and each.client_stayed and each.seconds >= at_least_seconds
        ]
        if len(slow) != times:
            yield f"{len(slow)} {call} call(s) took {at_least_seconds:g} s, not {times}"

    return judge


def client_gave_up(spec: VideoSpec, call: Call, after_seconds: float) -> Invariant:
    """One request of a workflow had no answer until its sender left, at its own deadline."""

    @proof(f"client_gave_up[{spec.workflow_id}: {call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        hung = [e for e in exchanges(evidence, spec, call) if not e.client_stayed]
        if len(hung) != 1:
            yield f"{len(hung)} {call} calls were left by their sender, not 1"
        for each in hung:
            problem = f"its sender left after {each.seconds:.1f} s, not {after_seconds:g}"
            yield from unless_about(each.seconds, after_seconds, TOLERANCE, problem)

    return judge


def retries_wait(spec: VideoSpec, waits: Mapping[Call, float]) -> Invariant:
    """After each bad answer to one of these calls the next request comes after that wait: no
    sooner, and not as late as the policy's next longer wait.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        for call, wanted in waits.items():
            sent = exchanges(evidence, spec, call)
            bad = [(a, b) for a, b in pairwise(sent) if a.kind not in _NO_FAULT]
            if not bad:
                yield f"{spec.workflow_id}: no {call} call was sent again"
            for before, after in bad:
                gap = (after.asked_at - before.answered_at).total_seconds()
                problem = f"{spec.workflow_id}: {call} again after {gap:.1f} s, not {wanted:g}"
                yield from unless_about(gap, wanted, TOLERANCE, problem)

    return Invariant(f"retries_wait[{spec.workflow_id}]", judge)


def given_up_at_its_deadline(spec: VideoSpec, deadline_seconds: float) -> Invariant:
    """The first run awaited its video until the deadline, in one attempt that did not fail, and
    said what to do; the last run got that very video, which was begun and billed once.
    """
    words = ("VIDEO_DEADLINE_SECONDS", "under the same id", "without paying again")

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        workflow = evidence.workflows[spec.workflow_id]
        first = Workflow(workflow.workflow_id, workflow.runs[:1])
        if first.status is not Status.FAILED:
            yield f"{spec.workflow_id} did not end at its deadline: it is {first.status}"
            return
        for word in words:
            if word not in first.failure_message:
                yield f"{first.failure_message!r} lacks {word!r}"
        for wait in (a for a in first.activities if a.kind == "await_video"):
            ended = wait.closed_at or wait.scheduled_at
            seconds = (ended - wait.scheduled_at).total_seconds()
            problem = f"it was awaited for {seconds:.1f} s, not {deadline_seconds:g}"
            yield from unless_about(seconds, deadline_seconds, TOLERANCE, problem)
        starts = exchanges(evidence, spec, Call.VIDEO_START)
        if len(starts) != 1:
            yield f"the video was begun {len(starts)} times, not once"
        for bill in evidence.billed:
            named = bill.operation and bill.operation in first.failure_message
            if bill.prompt in spec.video_prompts and not named:
                yield f"{first.failure_message!r} does not name {bill.operation}"

    return Invariant(f"given_up_at_its_deadline[{spec.workflow_id}]", judge)
