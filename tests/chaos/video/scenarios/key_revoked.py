"""The API key is revoked while work is at four different points; later it is valid again."""

from __future__ import annotations

import asyncio

from chaos.environment.temporal import SHARED_SERVER
from chaos.experiment.scenario import Scenario
from chaos.invariants import Invariant
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, mocked_case
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.invariants.resumption import resumed_from_its_checkpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.api_slow import answered_by
from tests.chaos.video.specs import VideoSpec

_AT_START = specs.single("revoked-at-start")
_AT_POLL = specs.single("revoked-at-poll")
_AT_DOWNLOAD = specs.single("revoked-at-download")
_SERIES = specs.series("revoked-series", videos=2)
_ALL = (_AT_START, _AT_POLL, _AT_DOWNLOAD, _SERIES)
_SCENE_1 = _SERIES.video_prompts[0]

_REVOKED_BODY = {
    "error": {
        "code": 403,
        "message": "Your API key was reported as leaked. Please use another API key.",
        "status": "PERMISSION_DENIED",
    }
}
_REVOKED = [
    FaultRule(call=call, kind=FaultKind.STATUS, status=403, body=_REVOKED_BODY, times=None)
    for call in Call
]


async def experiment(lab: VideoLab) -> None:
    """Four workflows stand still, each before another call; then the key is refused everywhere."""
    held = await asyncio.gather(
        lab.set_breakpoint(BreakAt.IMAGE, _AT_START.workflow_id),
        lab.set_breakpoint(BreakAt.VIDEO, _AT_POLL.workflow_id),
        lab.set_breakpoint(BreakAt.POLL, _AT_DOWNLOAD.workflow_id),
        lab.set_breakpoint(BreakAt.DOWNLOAD, _SCENE_1),
    )
    await asyncio.gather(lab.worker(), lab.worker())
    await asyncio.gather(*(lab.start(spec) for spec in _ALL))
    for each in held:
        await each.reached(lab.step_deadline_seconds)
    await lab.until_polled(_AT_POLL.video_prompts[0])
    async with answered_by(lab, _REVOKED):
        for each in held:
            await each.resume()
        await lab.until_ended(*(spec.workflow_id for spec in _ALL))
    lab.note("the key is valid again")
    await asyncio.gather(*(lab.start(spec) for spec in _ALL))


def _goes_on(spec: VideoSpec, call: str, kept: int) -> Invariant:
    return resumed_from_its_checkpoint(
        spec.workflow_id, ("GEMINI_API_KEY", f"at the {call} call", "HTTP 403"), kept=kept
    )


SCENARIO = Scenario(
    name="key_revoked",
    title="Key Revoked Halfway",
    cases=(
        mocked_case(
            name="at_every_call",
            experiment=experiment,
            load=lambda _: _ALL,
            invariants=(
                *COMMON,
                _goes_on(_AT_START, "video", kept=1),
                _goes_on(_AT_POLL, "poll", kept=2),
                _goes_on(_AT_DOWNLOAD, "download", kept=2),
                _goes_on(_SERIES, "video", kept=2),
            ),
            proofs=(
                api_answered(_AT_START, Call.VIDEO_START, "status 403", billed=False),
                api_answered(_AT_POLL, Call.POLL, "status 403"),
                api_answered(_AT_DOWNLOAD, Call.DOWNLOAD, "status 403"),
                api_answered(_SERIES, Call.VIDEO_START, "status 403", billed=False),
            ),
            stack=SHARED_SERVER,
        ),
    ),
)
