"""The retry policy as the server recorded it, and as it was carried out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.evidence.history import Activity
from chaos.invariants import Invariant, Late
from chaos.invariants.doubt import Tolerance, unless_about
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from workflows.policies import FIRST_PAUSE

RETRY_SECONDS = (10.0, 20.0)
"""The waits before attempts 2 and 3 that the requirements ask for."""


TOLERANCE = Tolerance(early_seconds=1.0, late_seconds=3.0)
"""What a wait may differ by: a busy server may hand a retry out late, and never early."""


OWN_TOLERANCE = Tolerance(early_seconds=1.5, late_seconds=3.0)
"""The same of a workflow's own wait, which is spread over 3 s around its middle."""


ALL_KINDS = (
    "open_operation",
    "generate_character",
    "start_video",
    "await_video",
    "download_video",
)
"""Every activity there is."""


def policy_is_as_required(*kinds: str) -> Invariant:
    """Every scheduled activity carries the required policy and timeouts; these must be there."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        seen: set[str] = set()
        for workflow in evidence.workflows.values():
            for activity in workflow.activities:
                seen.add(activity.kind)
                yield from _policy_problems(workflow.workflow_id, activity)
        for kind in kinds:
            if kind not in seen:
                yield f"{kind} was never scheduled, so its policy was not seen"

    return Invariant("policy_is_as_required", judge)


def _policy_problems(workflow_id: str, activity: Activity) -> Iterator[str]:
    policy = activity.retry_policy
    recorded = {
        "initial interval": (policy.initial_interval.ToTimedelta().total_seconds(), 10),
        "coefficient": (policy.backoff_coefficient, 2.0),
        "maximum attempts": (policy.maximum_attempts, 3),
        "non-retryable types": (list(policy.non_retryable_error_types), ["ApplicationFailure"]),
        "start-to-close": (activity.start_to_close_seconds, 30 * 60),
        "schedule-to-close": (activity.schedule_to_close_seconds, 60 * 60),
    }
    for what, (found, required) in recorded.items():
        if found != required:
            yield f"{workflow_id}, {activity.kind}: {what} {found}, not {required}"
    if not 0 < activity.heartbeat_seconds < activity.start_to_close_seconds:
        yield f"{workflow_id}, {activity.kind}: no heartbeat timeout"


def retries_are_spaced(
    workflow_id: str, kind: str, prompt: str, call: Call, *, then: Sequence[float] = ()
) -> Invariant:
    """Three attempts of an activity 10 s and 20 s apart: the whole by Temporal's history, each
    gap by the provider's bills. `then`: so many seconds before requests that follow these.
    """
    waits = (*RETRY_SECONDS, *then)

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        thirds = [
            activity.started_at - activity.scheduled_at
            for activity in evidence.workflows[workflow_id].activities
            if activity.kind == kind and activity.attempt == 3 and activity.started_at
        ]
        if not thirds:
            yield f"{workflow_id}: {kind} has no third attempt"
        for whole in thirds:
            problem = f"attempt 3 began {whole} after the first, not {sum(RETRY_SECONDS):g} s"
            yield from unless_about(whole.total_seconds(), sum(RETRY_SECONDS), TOLERANCE, problem)
        times = [r.at for r in evidence.received if r.call is call and r.prompt == prompt]
        gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
        if len(gaps) != len(waits):
            yield f"{len(times)} requests were sent, not {len(waits) + 1}"
        tolerances = [TOLERANCE] * len(RETRY_SECONDS) + [OWN_TOLERANCE] * len(then)
        for gap, wanted, tolerance in zip(gaps, waits, tolerances, strict=False):
            problem = f"a retry came after {gap:.1f} s, not {wanted:g}"
            yield from unless_about(gap, wanted, tolerance, problem)

    return Invariant(f"retries_are_spaced[{workflow_id}]", judge)


def outlasts_its_outage(workflow_id: str, kind: str) -> Invariant:
    """An activity used up its attempts, and the same was scheduled anew by the workflow itself,
    which waited before.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        found = [a for a in evidence.workflows[workflow_id].activities if a.kind == kind]
        pauses = [
            (after.scheduled_at - before.closed_at).total_seconds()
            for before, after in pairwise(found)
            if before.closed_at and before.attempt == before.retry_policy.maximum_attempts
        ]
        if not pauses:
            yield f"{workflow_id}: {kind} was not tried anew after all its attempts had failed"
        for pause in pauses:
            if pause < FIRST_PAUSE.total_seconds():
                yield f"{workflow_id}: {kind} was tried anew after {pause:.1f} s already"

    return Invariant(f"outlasts_its_outage[{workflow_id}]", judge)


def fails_at_once(workflow_id: str, call: Call, prompt: str) -> Invariant:
    """A permanent error ends the workflow after one request, before any retry would come."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        workflow = evidence.workflows[workflow_id]
        requests = [r for r in evidence.received if r.call is call and r.prompt == prompt]
        if len(requests) != 1:
            yield f"{len(requests)} requests were sent, not 1"
        if workflow.closed_at is None:
            yield Late(f"{workflow_id} still runs")
        elif (workflow.closed_at - workflow.started_at).total_seconds() >= RETRY_SECONDS[0]:
            yield Late(f"{workflow_id} waited as if to retry")

    return Invariant(f"fails_at_once[{workflow_id}]", judge)
