"""What only people can correct: key, prompt, configuration. Then the same ids are started again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.files import read_if_there
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from chaos.invariants import Invariant, proof
from chaos.process.child import CANARY, ChildError
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.invariants.resumption import resumed_from_its_checkpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.api_slow import plan
from tests.chaos.video.specs import VideoSpec

_WRONG_KEY = f"{CANARY}that-no-provider-knows"
_WRONG_KEY_QUEUE = "video-with-a-wrong-key"
_RETIRED_MODEL = "veo-3.1-lite-generate-preview"
_RETIRED_MODEL_QUEUE = "video-with-a-retired-model"
_WRONG_LENGTH = {"VIDEO_SECONDS": "5"}
_WRONG_LENGTH_QUEUE = "video-of-a-wrong-length"

_KEY = specs.single("wrong-key")
_MODEL = specs.single("retired-model")
_LENGTH = specs.single("wrong-length")


def _with_character(spec: VideoSpec, prompt: str) -> VideoSpec:
    return spec.asking(character=prompt)


def _with_last_video(spec: VideoSpec, prompt: str) -> VideoSpec:
    return spec.asking(videos=(*spec.video_prompts[:-1], prompt))


_MALFORMED_MENDED = specs.single("malformed-prompt")
_MALFORMED = _with_character(_MALFORMED_MENDED, "   ")
_BLOCKED_MENDED = specs.single("blocked-character")
_BLOCKED = _with_character(_BLOCKED_MENDED, "the hero of blocked-character, [blocked]")
_SERIES_MENDED = specs.series("blocked-video", videos=2)
_SERIES = _with_last_video(_SERIES_MENDED, "the hero of blocked-video, [blocked]")

_REWORDED = (
    (_MALFORMED, _MALFORMED_MENDED),
    (_BLOCKED, _BLOCKED_MENDED),
    (_SERIES, _SERIES_MENDED),
)
"""Prompts that the provider refused, and what they are reworded to."""

_RETIRED = FaultRule(
    call=Call.VIDEO_START,
    kind=FaultKind.STATUS,
    status=404,
    model=_RETIRED_MODEL,
    times=None,
    body={
        "error": {
            "code": 404,
            "message": f"models/{_RETIRED_MODEL} is not found for API version v1beta.",
            "status": "NOT_FOUND",
        }
    },
)


async def experiment(lab: VideoLab) -> None:
    """All of it at once. What is fixed is a worker, or a prompt; the provider stays as it is."""
    await plan(lab, (_RETIRED,))
    await lab.start(_LENGTH, task_queue=_WRONG_LENGTH_QUEUE)
    await _refused(lab)
    retired = {"GEMINI_VIDEO_MODEL": _RETIRED_MODEL}
    await asyncio.gather(
        lab.worker(),
        lab.worker(settings={"GEMINI_API_KEY": _WRONG_KEY}, task_queue=_WRONG_KEY_QUEUE),
        lab.worker(settings=retired, task_queue=_RETIRED_MODEL_QUEUE),
    )
    refused = [spec for spec, _ in _REWORDED]
    await asyncio.gather(
        lab.start(_KEY, task_queue=_WRONG_KEY_QUEUE),
        lab.start(_MODEL, task_queue=_RETIRED_MODEL_QUEUE),
        *(lab.start(spec) for spec in refused),
    )
    await lab.until_ended(*(spec.workflow_id for spec in (_KEY, _MODEL, *refused)))
    for spec in refused:
        lab.specs.remove(spec)
    lab.note("the causes are fixed")
    await lab.worker(task_queue=_WRONG_LENGTH_QUEUE)
    fixed = (_KEY, _MODEL, *(spec for _, spec in _REWORDED))
    await asyncio.gather(*(lab.start(spec) for spec in fixed))


async def _refused(lab: VideoLab) -> None:
    """A worker with a wrong setting does not start at all, so the work that waits is not spoilt."""
    lab.journal.add(Event.FAULT, kind="crash_loop", target="worker-1")  # it ends at each start
    try:
        await lab.worker(settings=_WRONG_LENGTH, task_queue=_WRONG_LENGTH_QUEUE)
    except ChildError as error:
        lab.note(str(error))
    lab.healed("worker-1")


MISUSED = 2
"""The exit code of a program whose settings are wrong."""


def refused_to_start(worker: str, sentence: str) -> Invariant:
    """A worker ended of itself, with the exit code of wrong settings, before it took any work; it
    left one line that says why.
    """

    @proof(f"refused_to_start[{worker}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        begun = evidence.first_entry(Event.STARTED, target=worker)
        gone = evidence.first_entry(Event.EXITED, pid=begun.pid) if begun else None
        if gone is None or gone.exit_code != MISUSED:
            yield f"{worker} did not end with exit code {MISUSED}"
            return
        if evidence.first_entry(Event.SIGNALED, target=worker):
            yield f"{worker} was ended by the suite"
        if evidence.first_entry(Event.READY, target=worker):
            yield f"{worker} took work"
        log = evidence.folder / "logs" / f"{worker}.log"
        said = (read_if_there(log) or b"").decode(errors="replace").splitlines()
        if said != [f"worker: {sentence}"]:
            yield f"{worker} said {said}, not just {sentence!r}"

    return judge


SCENARIO = Scenario(
    name="permanent_failures",
    title="Permanent Failures",
    cases=(
        mocked_case(
            name="mended_and_started_again",
            experiment=experiment,
            load=lambda _: (_KEY, _MODEL, _LENGTH, *(spec for _, spec in _REWORDED)),
            invariants=(
                *COMMON,
                resumed_from_its_checkpoint(
                    _KEY.workflow_id, ("the character", "Check GEMINI_API_KEY"), kept=0
                ),
                resumed_from_its_checkpoint(
                    _MODEL.workflow_id, ("video 1 of 1", "Check GEMINI_VIDEO_MODEL"), kept=1
                ),
                resumed_from_its_checkpoint(
                    _MALFORMED.workflow_id, ("the character", "must not be empty"), kept=0
                ),
                resumed_from_its_checkpoint(
                    _BLOCKED.workflow_id, ("the character", "was blocked", "reword it"), kept=0
                ),
                resumed_from_its_checkpoint(
                    _SERIES.workflow_id, ("video 2 of 2", "Try rephrasing the prompt"), kept=2
                ),
            ),
            proofs=(
                api_answered(_KEY, Call.IMAGE, "invalid_key", billed=False),
                api_answered(_MODEL, Call.VIDEO_START, "status 404", billed=False),
                api_answered(_MALFORMED, Call.IMAGE, "invalid_request", billed=False),
                api_answered(_BLOCKED, Call.IMAGE, "blocked", billed=False),
                api_answered(_SERIES, Call.VIDEO_START, "blocked", billed=False),
                refused_to_start("worker-1", "VIDEO_SECONDS must be 4, 6 or 8, not 5."),
            ),
            stack=SHARED_SERVER,
        ),
    ),
)
