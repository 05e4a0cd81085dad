"""The network between a worker and the paid API goes bad, while it polls, pays and downloads.

A poll and a download are free, and sent again. What was paid for is not, unless nobody can know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from chaos.experiment.scenario import Scenario
from chaos.faults import BadNetwork
from chaos.invariants import Invariant, proof
from chaos.network.toxics import (
    AnyToxic,
    Bandwidth,
    BlackHole,
    Down,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Side,
    Stream,
)
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.network import (
    Span,
    awaited_when_hit,
    in_flight_when_hit,
    nothing_is_in_doubt,
    spans,
)
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.network_server import (
    Act,
    Trial,
    begin,
    made_in_an_outage,
    slow,
    trials,
)
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import API
from workflows.payments.calls import State

PART_BYTES = 1_000
"""Of a download, before it is cut off: more than its head, less than its video."""

_RESET = ResetPeer(stream=Stream.DOWNSTREAM, wait_for_data=False)


async def cut_twice(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    """Nobody can connect when the image is to be paid for, and again while the video is polled."""
    (scene,) = spec.video_prompts
    video = await lab.set_breakpoint(BreakAt.VIDEO, scene)
    async with lab.during(fault):
        await begin(lab, spec)
        await lab.until_failed(spec.workflow_id, "generate_character", attempts=1)
    await lab.until_polled(scene)
    async with lab.during(fault):
        await lab.until_troubled(spec.workflow_id, "await_video")
    await video.resume()


def caught(target: BreakAt, kind: str) -> Act:
    """The link goes bad while a request lies with the provider, and until it has failed: a poll
    within its attempt, any other with it.
    """

    async def act(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
        held = await lab.set_breakpoint(target, spec.workflow_id)
        await begin(lab, spec)
        await held.reached(lab.step_deadline_seconds)
        async with lab.during(fault):
            await held.resume()
            if target is BreakAt.POLL:
                await lab.until_troubled(spec.workflow_id, kind)
            else:
                await lab.until_failed(spec.workflow_id, kind, attempts=1)

    return act


def _single(name: str, attempts: Mapping[str, int]) -> VideoSpec:
    return specs.single(name).model_copy(update={"attempts": attempts})


def _cut() -> Trial:
    spec = _single("api-cut", {"generate_character": 2})
    toxic, (image, scene) = Down(), spec.prompts

    def proofs(link: str) -> Sequence[Invariant]:
        return (
            refused_before_sent(link, toxic.type, spec.workflow_id, image),
            awaited_when_hit(link, toxic.type, spec.workflow_id, scene),
        )

    return Trial(spec, toxic, cut_twice, proofs, (nothing_is_in_doubt(spec.workflow_id),))


def _polled(name: str, toxic: AnyToxic) -> Trial:
    """A poll is under way: it is free, and sent again by the same attempt."""
    spec = specs.single(name)
    (scene,) = spec.video_prompts
    return Trial(
        spec,
        toxic,
        caught(BreakAt.POLL, "await_video"),
        lambda link: (in_flight_when_hit(link, toxic.type, Call.POLL, scene),),
        (nothing_is_in_doubt(spec.workflow_id),),
    )


def _paid() -> Trial:
    """An image is under way: it may be billed, and is, so the one that is sent again is waste."""
    spec = _single("api-reset-paid", {"generate_character": 2})
    image = spec.character_prompt
    spec = spec.model_copy(update={"may_be_charged_twice": (image,)})
    return Trial(
        spec,
        _RESET,
        caught(BreakAt.IMAGE, "generate_character"),
        lambda link: (in_flight_when_hit(link, _RESET.type, Call.IMAGE, image),),
        (was_in_doubt(spec.workflow_id, image),),
    )


def _truncated() -> Trial:
    """A download ends in its middle: the part is not taken for the whole."""
    spec = _single("api-truncated", {"download_video": 2})
    toxic, (scene,) = (
        LimitData(stream=Stream.DOWNSTREAM, limit_bytes=PART_BYTES),
        spec.video_prompts,
    )
    return Trial(
        spec,
        toxic,
        caught(BreakAt.DOWNLOAD, "download_video"),
        lambda link: (in_flight_when_hit(link, toxic.type, Call.DOWNLOAD, scene),),
        (nothing_is_in_doubt(spec.workflow_id),),
    )


def _hole() -> Trial:
    """Polls get no answer for a while, and then they do: that is no failure."""
    spec = specs.single("api-hole")
    toxic, (scene,) = BlackHole(stream=Stream.BOTH), spec.video_prompts
    return Trial(
        spec,
        toxic,
        made_in_an_outage,
        lambda link: (awaited_when_hit(link, toxic.type, spec.workflow_id, scene),),
        (nothing_is_in_doubt(spec.workflow_id),),
    )


def refused_before_sent(link: str, toxic: str, workflow_id: str, prompt: str) -> Invariant:
    """A paid call was tried while the link was bad, and nothing of it came to the provider."""

    @proof(f"refused_before_sent[{link}: {toxic}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        tried = [call.sent_at for call in evidence.calls_for(spec, prompt)]
        came = [request.at for request in evidence.received if request.prompt == prompt]
        if not any(
            any(_within(at, span) for at in tried) and not any(_within(at, span) for at in came)
            for span in spans(evidence, link, toxic)
        ):
            yield f"no call for {prompt!r} was kept from the provider by {toxic} on {link}"

    return judge


def was_in_doubt(workflow_id: str, prompt: str) -> Invariant:
    """The request for a prompt that was cut off in flight is on record as one that may be billed,
    and was sent once more.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        states = [call.state for call in evidence.calls_for(spec, prompt)]
        if states != [State.IN_DOUBT, State.DONE]:
            yield f"the requests for {prompt!r} are on record as {states}"

    return Invariant(f"was_in_doubt[{workflow_id}]", judge)


def _within(at: datetime, span: Span) -> bool:
    on, off = span
    return on < at and (off is None or at < off)


SCENARIO = Scenario(
    name="network_api",
    title="Network, Worker to API",
    cases=(
        trials("broken", API, _cut(), _polled("api-reset-poll", _RESET), _paid(), _truncated()),
        trials(
            "slow",
            API,
            slow(
                "api-latency", Latency(stream=Stream.BOTH, latency_seconds=0.2, jitter_seconds=0.1)
            ),
            slow("api-bandwidth", Bandwidth(stream=Stream.BOTH, bytes_per_second=2_000)),
        ),
        trials(
            "silent",
            API,
            _hole(),
            _polled("api-gone", HalfOpen(gone=Side.SERVER)),
            _polled("api-worker-gone", HalfOpen(gone=Side.CLIENT)),
        ),
    ),
)
