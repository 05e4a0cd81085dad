"""The paid API fails: by a status, a reply that nobody can read, a broken connection, for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.environment.temporal import SHARED_SERVER
from chaos.experiment.scenario import Scenario
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, mocked_case
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.invariants.resumption import resumed_from_its_checkpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.api_errors_checks import (
    bought_again_by_decision,
    key_stays_at_its_host,
    undelivered_costs_nothing,
)
from tests.chaos.video.scenarios.api_slow import plan
from tests.chaos.video.specs import VideoSpec

_PAID = (Call.IMAGE, Call.VIDEO_START)
_RETRIED = ("generate_character", "start_video", "download_video")
"""A poll that fails is a part of its wait, and takes no attempt."""


@dataclass(frozen=True)
class _Trouble:
    """What each of a single's four calls meets once. `billed`: the paid ones after their bill."""

    name: str
    kind: FaultKind
    billed: bool
    status: int = 503

    @property
    def spec(self) -> VideoSpec:
        """It completes. What was billed before its reply was lost is made and billed again."""
        spec = specs.single(f"api-{self.name}")
        twice = spec.prompts if self.billed else ()
        attempts = dict.fromkeys(_RETRIED, 2)
        return spec.model_copy(update={"may_be_charged_twice": twice, "attempts": attempts})

    @property
    def rules(self) -> Iterator[FaultRule]:
        """One for each call."""
        for call in Call:
            late = self.billed and call in _PAID
            yield FaultRule(
                call=call,
                kind=self.kind,
                status=self.status,
                when=When.AFTER_BILLING if late else When.BEFORE_BILLING,
                match=self.spec.workflow_id,
            )

    @property
    def answer(self) -> str:
        """What the provider's bills call it."""
        return f"status {self.status}" if self.kind is FaultKind.STATUS else self.kind


_TROUBLES = (
    _Trouble("500", FaultKind.STATUS, billed=False, status=500),
    _Trouble("billed-502", FaultKind.STATUS, billed=True, status=502),
    _Trouble("503", FaultKind.STATUS, billed=False),
    _Trouble("billed-504", FaultKind.STATUS, billed=True, status=504),
    _Trouble("malformed", FaultKind.MALFORMED, billed=True),
    _Trouble("html", FaultKind.HTML, billed=False),
    _Trouble("empty", FaultKind.EMPTY, billed=True),
    _Trouble("truncated", FaultKind.TRUNCATED, billed=True),
    _Trouble("reset", FaultKind.RESET, billed=False),
    _Trouble("billed-reset", FaultKind.RESET, billed=True),
)


async def transient(lab: VideoLab) -> None:
    """Every kind of failure at once, each at every call of its own workflow."""
    await plan(lab, [rule for trouble in _TROUBLES for rule in trouble.rules])
    await asyncio.gather(lab.worker(), lab.worker())
    await asyncio.gather(*(lab.start(trouble.spec) for trouble in _TROUBLES))
    lab.note("waiting for a retry after 10 s at each of the four calls")


_FAILED = specs.series("api-failed-operation", videos=2)
_FILTERED = specs.single("api-filtered-video")
# Filtered before anything was made of it: the image's prompt is reworded.
_FILTERED_IMAGE = specs.single("api-filtered-image")
_REWORDED = _FILTERED_IMAGE.asking(character=f"{_FILTERED_IMAGE.character_prompt}, reworded")


def _undelivered(spec: VideoSpec) -> VideoSpec:
    """The provider writes a bill of $0 for what it does not deliver, and one for what it does."""
    return spec.model_copy(update={"may_be_charged_twice": spec.video_prompts[-1:]})


_FAILED, _FILTERED = _undelivered(_FAILED), _undelivered(_FILTERED)
_FINAL = (
    FaultRule(
        call=Call.VIDEO_START,
        kind=FaultKind.FAILED_OPERATION,
        code=3,  # of the codes of an operation's error the one that blames the request
        match=_FAILED.video_prompts[-1],
    ),
    FaultRule(
        call=Call.VIDEO_START, kind=FaultKind.RAI_FILTERED, match=_FILTERED.video_prompts[-1]
    ),
    FaultRule(call=Call.IMAGE, kind=FaultKind.RAI_FILTERED, match=_FILTERED_IMAGE.character_prompt),
)


async def final(lab: VideoLab) -> None:
    """The provider says no for good; the same ids are started again, and it says yes."""
    await plan(lab, _FINAL)
    await lab.worker()
    first = (_FAILED, _FILTERED, _FILTERED_IMAGE)
    await asyncio.gather(*(lab.start(spec) for spec in first))
    await lab.until_ended(*(spec.workflow_id for spec in first))
    lab.specs.remove(_FILTERED_IMAGE)
    await asyncio.gather(*(lab.start(spec) for spec in (_FAILED, _FILTERED, _REWORDED)))


def _bought_again(spec: VideoSpec) -> VideoSpec:
    return spec.model_copy(update={"may_be_charged_twice": spec.video_prompts[-1:]})


_UNDELIVERED = _bought_again(specs.single("reported-undelivered"))
_EXPIRED = _bought_again(specs.series("reported-expired", videos=2))
_GIVEN_UP = _bought_again(specs.single("reported-given-up"))
_NOT_MADE = _bought_again(specs.single("reported-not-made"))
_DOUBTFUL = specs.single("reported-doubtful-image")
_DOUBTFUL = _DOUBTFUL.model_copy(
    update={
        "may_be_charged_twice": (_DOUBTFUL.character_prompt,),
        "attempts": {"generate_character": 2},
    }
)
_NO_IMAGE = specs.single("reported-no-image").model_copy(
    update={"attempts": {"generate_character": 2}}
)
_DRAFTS = specs.single("reported-drafts")
_INLINE = specs.single("reported-inline")
_REDIRECTED = specs.single("reported-redirected")
_TAKEN = specs.single("reported-taken-with-202")
_BY_THEMSELVES = (_NOT_MADE, _DOUBTFUL, _NO_IMAGE, _DRAFTS, _INLINE, _REDIRECTED, _TAKEN)
_DECIDED = (_UNDELIVERED, _EXPIRED, _GIVEN_UP)


def _ends(spec: VideoSpec, kind: FaultKind) -> FaultRule:
    """How the first video of a workflow's last prompt ends."""
    return FaultRule(call=Call.VIDEO_START, kind=kind, match=spec.video_prompts[-1])


_REPORTED = (
    _ends(_UNDELIVERED, FaultKind.UNDELIVERED),
    _ends(_EXPIRED, FaultKind.EXPIRED),
    _ends(_GIVEN_UP, FaultKind.UNDELIVERED),
    _ends(_NOT_MADE, FaultKind.FAILED_OPERATION),
    _ends(_INLINE, FaultKind.INLINE),
    shapes.billed_without_image(match=_DOUBTFUL.character_prompt),
    shapes.no_image(match=_NO_IMAGE.character_prompt),
    shapes.taken_with_202(match=_TAKEN.video_prompts[0]),
    FaultRule(
        call=Call.IMAGE,
        kind=FaultKind.DRAFTS,
        when=When.AFTER_BILLING,
        match=_DRAFTS.character_prompt,
    ),
    *(
        FaultRule(call=call, kind=FaultKind.REDIRECT, match=_REDIRECTED.video_prompts[0])
        for call in (Call.POLL, Call.DOWNLOAD)
    ),
)


async def as_reported(lab: VideoLab) -> None:
    """Replies from public bug reports. Where a video is out of reach somebody decides: buy it
    again; or give up, start the same id again, and then buy it again.
    """
    await plan(lab, _REPORTED)
    await asyncio.gather(lab.worker(), lab.worker())
    await asyncio.gather(*(lab.start(spec) for spec in (*_BY_THEMSELVES, *_DECIDED)))
    await asyncio.gather(
        _decide(lab, _UNDELIVERED, "resend"),
        _decide(lab, _EXPIRED, "resend"),
        _decide(lab, _GIVEN_UP, "give_up"),
    )
    await lab.until_ended(_GIVEN_UP.workflow_id)
    await lab.start(_GIVEN_UP)
    await _decide(lab, _GIVEN_UP, "resend")


async def _decide(lab: VideoLab, spec: VideoSpec, choice: str) -> None:
    """What a person would do who sees in the status that a workflow asks."""
    undecided = await lab.until_told(spec.workflow_id, "undecided")
    decision = {"step": undecided["step"], "choice": choice}
    await lab.handle(spec.workflow_id).signal("decide", decision)


SCENARIO = Scenario(
    name="api_errors",
    title="Failing API",
    cases=(
        mocked_case(
            name="transient",
            experiment=transient,
            load=lambda _: [trouble.spec for trouble in _TROUBLES],
            proofs=[
                api_answered(t.spec, call, t.answer, billed=t.billed if call in _PAID else None)
                for t in _TROUBLES
                for call in Call
            ],
            stack=SHARED_SERVER,
            about_seconds=50,
        ),
        mocked_case(
            name="final",
            experiment=final,
            load=lambda _: (_FAILED, _FILTERED, _REWORDED),
            invariants=(
                *COMMON,
                resumed_from_its_checkpoint(
                    _FAILED.workflow_id,
                    ("video 2 of 2", "Try rephrasing the prompt"),
                    kept=2,
                ),
                resumed_from_its_checkpoint(
                    _FILTERED.workflow_id,
                    ("video 1 of 1", "safety filter withheld it", "reword the video prompt"),
                    kept=1,
                ),
                resumed_from_its_checkpoint(
                    _REWORDED.workflow_id,
                    ("the character", "IMAGE_SAFETY", "reword the character prompt"),
                    kept=0,
                ),
                undelivered_costs_nothing(_FAILED),
                undelivered_costs_nothing(_FILTERED),
            ),
            proofs=(
                api_answered(_FAILED, Call.VIDEO_START, "failed_operation"),
                api_answered(_FILTERED, Call.VIDEO_START, "rai_filtered"),
                api_answered(_FILTERED_IMAGE, Call.IMAGE, "rai_filtered", billed=False),
            ),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="as_reported",
            experiment=as_reported,
            load=lambda _: (*_BY_THEMSELVES, *_DECIDED),
            invariants=(
                *COMMON,
                key_stays_at_its_host(_REDIRECTED),
                *(bought_again_by_decision(spec) for spec in _DECIDED),
                undelivered_costs_nothing(_NOT_MADE),
                resumed_from_its_checkpoint(
                    _GIVEN_UP.workflow_id, ("video 1 of 1", "it was given up"), kept=1
                ),
            ),
            proofs=(
                api_answered(_UNDELIVERED, Call.VIDEO_START, "undelivered", billed=True),
                api_answered(_EXPIRED, Call.VIDEO_START, "expired", billed=True),
                api_answered(_GIVEN_UP, Call.VIDEO_START, "undelivered", billed=True),
                api_answered(_NOT_MADE, Call.VIDEO_START, "failed_operation"),
                api_answered(_INLINE, Call.VIDEO_START, "inline", billed=True),
                api_answered(_DOUBTFUL, Call.IMAGE, "status 200", billed=True),
                api_answered(_NO_IMAGE, Call.IMAGE, "status 200", billed=False),
                api_answered(_TAKEN, Call.VIDEO_START, "status 202", billed=True),
                api_answered(_DRAFTS, Call.IMAGE, "drafts", billed=True),
                api_answered(_REDIRECTED, Call.POLL, "redirect"),
                api_answered(_REDIRECTED, Call.DOWNLOAD, "redirect"),
            ),
            stack=SHARED_SERVER,
            about_seconds=25,
        ),
    ),
)
