"""The retry policy: as the server recorded it, and as failing calls are really retried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.bills import Mode
from chaos.evidence.history import Activity, Status
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from chaos.invariants import Invariant, Late, proof
from chaos.invariants.doubt import Tolerance, unless_about
from chaos.process.child import CANARY
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, mocked_case, video_case
from tests.chaos.video.evidence import FAKE_API, VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.invariants.policy import outlasts_its_outage
from tests.chaos.video.lab import VideoLab

_WRONG_KEY_QUEUE = "video-with-a-wrong-key"
_WRONG_KEY = f"{CANARY}that-no-provider-knows"

_RECOVERS = specs.single("retry-recovers").model_copy(
    update={"attempts": {"generate_character": 3}}
)
_OUTLASTS = specs.series("retry-outlasts", videos=2).model_copy(
    update={"attempts": {"start_video": 3}}
)
_REFUSED = specs.single("retry-refused").but_made(
    0,
    {
        "status": Status.FAILED,
        "checkpoints": ("started",),
        "failure_names": ("the character", "GEMINI_API_KEY"),
    },
)
_REFUSED_SERIES = specs.series("retry-refused-series", videos=2).but_made(
    0,
    {
        "status": Status.FAILED,
        "checkpoints": ("started",),
        "failure_names": ("the character", "GEMINI_API_KEY"),
    },
)
_PAUSE_SECONDS = 31.5
"""What the workflow waits before it tries again: 30 s and up to a tenth more, by the middle."""
_SCENE_2 = _OUTLASTS.video_prompts[1]


async def experiment(lab: VideoLab) -> None:
    """Two 503s then success; three 503s, which use up all attempts, so that the workflow waits and
    tries again by itself; a wrong key. All at once: the waits are long.
    """
    api = lab.api
    await api.add_rule(_refuse(Call.IMAGE, _RECOVERS.character_prompt, times=2))
    await api.add_rule(_refuse(Call.VIDEO_START, _SCENE_2, times=3))
    lab.journal.add(Event.FAULT, kind="status_503", target=FAKE_API)
    await lab.worker()
    await lab.worker(settings={"GEMINI_API_KEY": _WRONG_KEY}, task_queue=_WRONG_KEY_QUEUE)
    await lab.start(_RECOVERS)
    await lab.start(_OUTLASTS)
    await lab.start(_REFUSED, task_queue=_WRONG_KEY_QUEUE)
    lab.note("waiting for the retries after 10 s and 20 s, and for a pause of 30 s")


async def refused(lab: VideoLab) -> None:
    """Live, nobody can make the API fail; a wrong key costs nothing, and shows both workflows."""
    lab.journal.add(Event.FAULT, kind="wrong_key", target="worker-1")
    await lab.worker(settings={"GEMINI_API_KEY": _WRONG_KEY})
    await lab.start(_REFUSED)
    await lab.start(_REFUSED_SERIES)


def _refuse(call: Call, prompt: str, times: int) -> FaultRule:
    return FaultRule(call=call, kind=FaultKind.STATUS, status=503, match=prompt, times=times)


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


def provider_answered(call: Call, prompt: str, kind: str, times: int) -> Invariant:
    """The planned answer was given exactly so often."""

    @proof(f"provider_answered[{kind}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        found = 0
        for request in evidence.received:
            answer = evidence.answers.get(request.request_id)
            if request.call is call and request.prompt == prompt and answer:
                found += answer.kind == kind
        if found != times:
            yield f"the {call} call was answered with {kind} {found} times, not {times}"

    return judge


SCENARIO = Scenario(
    name="retry_config",
    title="Retry Configuration",
    cases=(
        mocked_case(
            name="policy_and_behaviour",
            experiment=experiment,
            load=lambda _: (_RECOVERS, _OUTLASTS, _REFUSED),
            invariants=(
                *COMMON,
                policy_is_as_required(*ALL_KINDS),
                retries_are_spaced(
                    _RECOVERS.workflow_id,
                    "generate_character",
                    _RECOVERS.character_prompt,
                    Call.IMAGE,
                ),
                retries_are_spaced(
                    _OUTLASTS.workflow_id,
                    "start_video",
                    _SCENE_2,
                    Call.VIDEO_START,
                    then=(_PAUSE_SECONDS,),
                ),
                outlasts_its_outage(_OUTLASTS.workflow_id, "start_video"),
                fails_at_once(_REFUSED.workflow_id, Call.IMAGE, _REFUSED.character_prompt),
            ),
            proofs=(
                provider_answered(Call.IMAGE, _RECOVERS.character_prompt, "status", 2),
                provider_answered(Call.VIDEO_START, _SCENE_2, "status", 3),
                provider_answered(Call.IMAGE, _REFUSED.character_prompt, "invalid_key", 1),
            ),
            stack=SHARED_SERVER,
            about_seconds=65,
        ),
        video_case(
            name="wrong_key",
            experiment=refused,
            load=lambda _: (_REFUSED, _REFUSED_SERIES),
            modes=frozenset({Mode.LIVE}),
            invariants=(
                *COMMON,
                policy_is_as_required("open_operation", "generate_character"),
                *(
                    fails_at_once(spec.workflow_id, Call.IMAGE, spec.character_prompt)
                    for spec in (_REFUSED, _REFUSED_SERIES)
                ),
            ),
            proofs=(provider_answered(Call.IMAGE, _REFUSED.character_prompt, "refused", 1),),
            stack=SHARED_SERVER,
        ),
    ),
)
