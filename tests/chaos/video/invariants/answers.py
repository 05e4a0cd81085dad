"""What the provider answered to one workflow's requests, and what the workers made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from chaos.evidence.history import Status, Workflow
from chaos.invariants import Invariant, proof
from chaos.invariants.doubt import Tolerance, unless_about
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.specs import VideoSpec

TOLERANCE = Tolerance(early_seconds=2.0, late_seconds=8.0)
"""How much sooner or later than planned something may seem to be on a busy machine: the provider
writes down a request when it has read it, and an answer when it has left.
"""

_NO_FAULT = frozenset(
    {"ok", "rai_filtered", "failed_operation"} | {"undelivered", "expired", "inline", "drafts"}
)


@dataclass(frozen=True)
class _Exchange:
    """A request with its answer. `kind` of an error status is `status 503`."""

    asked_at: datetime
    answered_at: datetime
    kind: str
    billed: bool
    client_stayed: bool

    @property
    def seconds(self) -> float:
        return (self.answered_at - self.asked_at).total_seconds()


def api_answered(
    spec: VideoSpec, call: Call, kind: str, *, times: int | None = 1, billed: bool | None = None
) -> Invariant:
    """Exactly so many of a workflow's requests (None: some) got that answer (`status 503` or a
    kind), all of them billed, or none, where that is said.
    """

    @proof(f"api_answered[{spec.workflow_id}: {call} {kind}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        found = [each for each in _exchanges(evidence, spec, call) if each.kind == kind]
        if (not found) if times is None else len(found) != times:
            yield f"the {call} call was answered with {kind} {len(found)} times, not {times}"
        if billed is not None and any(each.billed is not billed for each in found):
            yield f"the {call} call that got {kind} was {'not ' if billed else ''}billed"

    return judge


def api_was_slow(
    spec: VideoSpec, call: Call, at_least_seconds: float, *, times: int = 1
) -> Invariant:
    """So many of a workflow's requests got a good answer, and only after that time."""

    @proof(f"api_was_slow[{spec.workflow_id}: {call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        slow = [
            each
            for each in _exchanges(evidence, spec, call)
            if each.kind == "ok" and each.client_stayed and each.seconds >= at_least_seconds
        ]
        if len(slow) != times:
            yield f"{len(slow)} {call} call(s) took {at_least_seconds:g} s, not {times}"

    return judge


def client_gave_up(spec: VideoSpec, call: Call, after_seconds: float) -> Invariant:
    """One request of a workflow had no answer until its sender left, at its own deadline."""

    @proof(f"client_gave_up[{spec.workflow_id}: {call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        hung = [e for e in _exchanges(evidence, spec, call) if not e.client_stayed]
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
            exchanges = _exchanges(evidence, spec, call)
            bad = [(a, b) for a, b in pairwise(exchanges) if a.kind not in _NO_FAULT]
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
        starts = _exchanges(evidence, spec, Call.VIDEO_START)
        if len(starts) != 1:
            yield f"the video was begun {len(starts)} times, not once"
        for bill in evidence.billed:
            named = bill.operation and bill.operation in first.failure_message
            if bill.prompt in spec.video_prompts and not named:
                yield f"{first.failure_message!r} does not name {bill.operation}"

    return Invariant(f"given_up_at_its_deadline[{spec.workflow_id}]", judge)


def key_stays_at_its_host(spec: VideoSpec) -> Invariant:
    """Requests of a workflow that were redirected to another host came there without the key."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        elsewhere = [each for each in _requests(evidence, spec) if each.redirected]
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
    """A video that was begun and not delivered is billed with nothing, and begun anew."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        bills = [bill for bill in evidence.billed if bill.prompt in spec.video_prompts]
        undelivered = [bill for bill in bills if bill.sha256 is None]
        paid = [bill for bill in bills if bill.amount_usd]
        if not undelivered or any(bill.amount_usd for bill in undelivered):
            yield f"{spec.workflow_id} has no undelivered video that cost nothing"
        if len(paid) != len(spec.video_prompts):
            yield f"{spec.workflow_id}: {len(paid)} videos were paid for"

    return Invariant(f"undelivered_costs_nothing[{spec.workflow_id}]", judge)


def _requests(evidence: VideoEvidence, spec: VideoSpec) -> Sequence[Received]:
    """A workflow's requests of all calls, in order."""
    bills = [bill for bill in evidence.billed if bill.prompt in spec.prompts]
    operations = {bill.operation for bill in bills if bill.operation}
    files = {bill.file for bill in bills if bill.file}
    return [
        request
        for request in evidence.received
        if request.prompt in spec.prompts
        or request.operation in operations
        or request.file in files
    ]


def _exchanges(evidence: VideoEvidence, spec: VideoSpec, call: Call) -> Sequence[_Exchange]:
    """A workflow's requests of that call that were answered, or left, in order."""
    billed = {bill.request_id for bill in evidence.billed}
    found = []
    for request in _requests(evidence, spec):
        answer = evidence.answers.get(request.request_id)
        if request.call is call and answer:
            error = f"{answer.kind} {answer.status}"
            found.append(
                _Exchange(
                    asked_at=request.at,
                    answered_at=answer.at,
                    kind=error if answer.kind == "status" else answer.kind,
                    billed=request.request_id in billed,
                    client_stayed=answer.client_connected,
                )
            )
    return found
