"""The retry policy: as the server recorded it, and as failing calls are really retried."""

from __future__ import annotations

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.bills import Mode
from chaos.evidence.history import Status
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from chaos.process.child import CANARY
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, video_case
from tests.chaos.video.evidence import FAKE_API
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.invariants.api_proofs import provider_answered
from tests.chaos.video.invariants.retries import (
    ALL_KINDS,
    fails_at_once,
    outlasts_its_outage,
    policy_is_as_required,
    retries_are_spaced,
)
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


SCENARIO = Scenario(
    name="retry_config",
    title="Retry Configuration",
    cases=(
        video_case(
            name="policy_and_behaviour",
            experiment=experiment,
            load=lambda _: (_RECOVERS, _OUTLASTS, _REFUSED),
            modes=frozenset({Mode.MOCKED}),
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
