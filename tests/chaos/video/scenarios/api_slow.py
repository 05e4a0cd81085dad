"""The paid API is slow, hangs, asks for patience, or never finishes a video."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, mocked_case
from tests.chaos.video.evidence import FAKE_API
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.faults import BadApi
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.invariants.policy import outlasts_its_outage
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.api_slow_checks import (
    api_was_slow,
    client_gave_up,
    given_up_at_its_deadline,
    retries_wait,
)
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import PAID_DEADLINE_SECONDS
from workflows.policies import POLL_DEADLINE_SECONDS

SLOW_SECONDS = 8.0
"""Within the deadline of a paid request, by no wide margin."""

SLOW_POLL_SECONDS = 3.0
LONG_WISH_SECONDS = 14.0
SHORT_WISH_SECONDS = 2.0
POLICY_SECONDS = 10.0
"""The retry policy's first wait: one wish of the provider is longer, the other is not."""

VIDEO_DEADLINE_SECONDS = 4.0
_PAID_SECONDS = float(PAID_DEADLINE_SECONDS)
_SHORT_QUEUE = "video-with-a-short-deadline"


def _single(name: str, **attempts: int) -> VideoSpec:
    return specs.single(name).model_copy(update={"attempts": attempts})


_IMAGE_SLOW = _single("slow-image")
_START_SLOW = _single("slow-start")
_POLL_SLOW = _single("slow-poll")
_IMAGE_HANGS = _single("hanging-image", generate_character=2)
_BILLED_HANGS = _single("hanging-billed-image", generate_character=2)
_BILLED_HANGS = _BILLED_HANGS.model_copy(
    update={"may_be_charged_twice": (_BILLED_HANGS.character_prompt,)}
)
_POLL_HANGS = _single("hanging-poll")
_LONG_WISH = _single("long-wish", start_video=2)
_SHORT_WISH = _single("short-wish", generate_character=2)
_NEVER_ENDS = _single("never-ending-video")

_SLOW = (_IMAGE_SLOW, _START_SLOW, _POLL_SLOW)
_HANGING = (_IMAGE_HANGS, _BILLED_HANGS, _POLL_HANGS)
_OTHERS = (*_SLOW, *_HANGING, _LONG_WISH, _SHORT_WISH)


def _delay(call: Call, spec: VideoSpec, seconds: float) -> FaultRule:
    return FaultRule(call=call, kind=FaultKind.DELAY, delay_seconds=seconds, match=spec.workflow_id)


def _hang(call: Call, spec: VideoSpec, when: When = When.BEFORE_BILLING) -> FaultRule:
    return FaultRule(call=call, kind=FaultKind.HANG, when=when, match=spec.workflow_id)


def _wish(call: Call, spec: VideoSpec, seconds: float) -> FaultRule:
    return FaultRule(
        call=call,
        kind=FaultKind.STATUS,
        status=429,
        retry_delay_seconds=seconds,
        match=spec.workflow_id,
    )


_RULES = (
    _delay(Call.IMAGE, _IMAGE_SLOW, SLOW_SECONDS),
    _delay(Call.VIDEO_START, _START_SLOW, SLOW_SECONDS),
    _delay(Call.POLL, _POLL_SLOW, SLOW_POLL_SECONDS),
    _hang(Call.IMAGE, _IMAGE_HANGS),
    _hang(Call.IMAGE, _BILLED_HANGS, When.AFTER_BILLING),
    _hang(Call.POLL, _POLL_HANGS),
    _wish(Call.VIDEO_START, _LONG_WISH, LONG_WISH_SECONDS),
    _wish(Call.IMAGE, _SHORT_WISH, SHORT_WISH_SECONDS),
)
"""Each hits one workflow only, by its prompts."""


async def plan(lab: VideoLab, rules: Sequence[FaultRule]) -> None:
    """Put rules in force that end by themselves, as one planned fault."""
    await asyncio.gather(*(lab.api.add_rule(rule) for rule in rules))
    lab.journal.add(Event.FAULT, kind="bad_api", target=FAKE_API)


@asynccontextmanager
async def answered_by(lab: VideoLab, rules: Sequence[FaultRule]) -> AsyncIterator[None]:
    """Rules that are in force within the block."""
    async with AsyncExitStack() as faults:
        for rule in rules:
            await faults.enter_async_context(lab.during(BadApi(rule=rule)))
        yield


async def experiment(lab: VideoLab) -> None:
    """All at once, for the waits are long; what never ends is started again once it can be made."""
    await plan(lab, _RULES)
    rendering = await lab.set_breakpoint(BreakAt.VIDEO, _NEVER_ENDS.workflow_id)
    short = {"VIDEO_DEADLINE_SECONDS": f"{VIDEO_DEADLINE_SECONDS:g}"}
    # Slots for all that hangs, so that nothing waits for the end of another's fault.
    await asyncio.gather(
        *(lab.worker() for _ in range(3)), lab.worker(settings=short, task_queue=_SHORT_QUEUE)
    )
    await asyncio.gather(
        *(lab.start(spec) for spec in _OTHERS), lab.start(_NEVER_ENDS, task_queue=_SHORT_QUEUE)
    )
    await lab.until_ended(_NEVER_ENDS.workflow_id)
    await rendering.resume()
    await lab.start(_NEVER_ENDS, task_queue=_SHORT_QUEUE)


_OUT_AT_IMAGE = _single("outage-at-image", generate_character=3)
_OUT_AT_START = _single("outage-at-start", start_video=3)
_OUT_AT_POLL = _single("outage-at-poll")
_OUT_AT_DOWNLOAD = _single("outage-at-download", download_video=3)
_OUT = (_OUT_AT_IMAGE, _OUT_AT_START, _OUT_AT_POLL, _OUT_AT_DOWNLOAD)
_OUTLASTED = {
    _OUT_AT_IMAGE.workflow_id: "generate_character",
    _OUT_AT_START.workflow_id: "start_video",
    _OUT_AT_DOWNLOAD.workflow_id: "download_video",
}
"""What each workflow has in flight when the provider goes away; the fourth is polling."""

_OUTAGE = [
    FaultRule(
        call=call,
        kind=FaultKind.STATUS,
        status=503,
        times=None,
        # The one whose download is refused has to come so far.
        match=_OUT_AT_POLL.workflow_id if call is Call.POLL else "",
    )
    for call in Call
]


async def outage(lab: VideoLab) -> None:
    """The provider takes nothing for longer than three attempts last, and then it is back: four
    workflows, each at another call, wait and go on by themselves.
    """
    # A request that is held is past the rules: the next one meets them.
    held = await asyncio.gather(
        lab.set_breakpoint(BreakAt.IMAGE, _OUT_AT_START.workflow_id),
        lab.set_breakpoint(BreakAt.VIDEO, _OUT_AT_POLL.workflow_id),
        lab.set_breakpoint(BreakAt.POLL, _OUT_AT_DOWNLOAD.workflow_id),
    )
    await asyncio.gather(lab.worker(), lab.worker())
    await asyncio.gather(*(lab.start(a) for a in _OUT if a is not _OUT_AT_IMAGE))
    for each in held:
        await each.reached(lab.step_deadline_seconds)
    await lab.until_polled(_OUT_AT_POLL.video_prompts[0])
    async with answered_by(lab, _OUTAGE):
        for each in held:
            await each.resume()
        await lab.start(_OUT_AT_IMAGE)
        lab.note("waiting until three attempts of each are used up, 30 s")
        await asyncio.gather(*(lab.until_told(name, "waiting") for name in _OUTLASTED))
    lab.note("the provider is back; the workflows wait for another 30 s")


SCENARIO = Scenario(
    name="api_slow",
    title="Slow API",
    cases=(
        mocked_case(
            name="slow_and_hanging",
            experiment=experiment,
            load=lambda _: (*_OTHERS, _NEVER_ENDS),
            invariants=(
                *COMMON,
                retries_wait(_IMAGE_HANGS, {Call.IMAGE: POLICY_SECONDS}),
                retries_wait(_BILLED_HANGS, {Call.IMAGE: POLICY_SECONDS}),
                retries_wait(_LONG_WISH, {Call.VIDEO_START: LONG_WISH_SECONDS}),
                retries_wait(_SHORT_WISH, {Call.IMAGE: POLICY_SECONDS}),
                given_up_at_its_deadline(_NEVER_ENDS, VIDEO_DEADLINE_SECONDS),
            ),
            proofs=(
                api_was_slow(_IMAGE_SLOW, Call.IMAGE, SLOW_SECONDS),
                api_was_slow(_START_SLOW, Call.VIDEO_START, SLOW_SECONDS),
                api_was_slow(_POLL_SLOW, Call.POLL, SLOW_POLL_SECONDS),
                client_gave_up(_IMAGE_HANGS, Call.IMAGE, _PAID_SECONDS),
                client_gave_up(_BILLED_HANGS, Call.IMAGE, _PAID_SECONDS),
                api_answered(_IMAGE_HANGS, Call.IMAGE, "hang", billed=False),
                api_answered(_BILLED_HANGS, Call.IMAGE, "hang", billed=True),
                client_gave_up(_POLL_HANGS, Call.POLL, POLL_DEADLINE_SECONDS),
                api_answered(_LONG_WISH, Call.VIDEO_START, "status 429", billed=False),
                api_answered(_SHORT_WISH, Call.IMAGE, "status 429", billed=False),
            ),
            stack=SHARED_SERVER,
            about_seconds=50,
        ),
        mocked_case(
            name="outage",
            experiment=outage,
            load=lambda _: _OUT,
            invariants=(
                *COMMON,
                *(outlasts_its_outage(name, kind) for name, kind in _OUTLASTED.items()),
            ),
            proofs=(
                api_answered(_OUT_AT_IMAGE, Call.IMAGE, "status 503", times=3, billed=False),
                api_answered(_OUT_AT_START, Call.VIDEO_START, "status 503", times=3, billed=False),
                api_answered(_OUT_AT_POLL, Call.POLL, "status 503", times=None),
                api_answered(_OUT_AT_DOWNLOAD, Call.DOWNLOAD, "status 503", times=3),
            ),
            stack=SHARED_SERVER,
            about_seconds=70,
        ),
    ),
)
