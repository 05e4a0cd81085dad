"""What is drawn of the video system: bad answers of its API, and what must hold after them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.client import WorkflowHistory

from chaos.environment.target import Conditions
from chaos.evidence.case import Evidence
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants import invariant
from chaos.invariants.money import all_expected_is_billed
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.survival import (
    no_workflow_task_fails,
    replays_with,
    workflows_end_as_expected,
)
from chaos.process.child import CANARY
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.chaos.video.faults import BadApi
from tests.chaos.video.invariants.files import (
    artifacts_are_their_own,
    artifacts_exist_with_their_hash,
)
from tests.chaos.video.invariants.money import (
    billed_once_unless_in_doubt,
    cost_matches_bills,
    every_bill_is_on_record,
)
from tests.chaos.video.invariants.policy import attempts_within_policy
from tests.chaos.video.invariants.progress import (
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
)
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.versions import next_release
from workflows.videos import WORKFLOWS

RESUBMISSIONS = 2
"""How often an operator would start an operation again whose three attempts met three faults."""

FORMER_SPECS = {"videos=null": "single", "videos=2": "series", "videos=3": "long_series"}
"""How schedules of the releases before 0.2 call them."""

PAID = ("generateContent", "predictLongRunning")
"""The requests that cost money."""

_PASSING = (
    FaultKind.STATUS,
    FaultKind.DELAY,
    FaultKind.RESET,
    FaultKind.MALFORMED,
    FaultKind.EMPTY,
    FaultKind.TRUNCATED,
)
"""What another attempt can fix; the others end a workflow, and that is no question of chance."""

_STATUSES = {When.BEFORE_BILLING: (429, 500, 503), When.AFTER_BILLING: (500, 502, 504)}
"""429 and 503 say that nothing was accepted; a provider that bills then would be lying."""

PASSING_CODES = frozenset(
    {"Unreachable", "NoReply", "ConnectionLost", "Unavailable", "ServerError", "UnreadableReply"}
)
"""The failures of a call, as `workflows.gemini` names them, that another try may correct."""


@invariant
def restarts_are_explained(evidence: Evidence) -> Iterator[str]:
    """An operation was started again only where three attempts in a row met what passes."""
    for workflow in evidence.workflows.values():
        for run in workflow.runs[:-1]:
            closing = run.events[-1]
            if closing.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
                continue
            code = _exhausted_code(run)
            if code not in PASSING_CODES:
                said = closing.workflow_execution_failed_event_attributes.failure.message
                yield f"{workflow.workflow_id} failed for another reason than its API: {said}"


def _exhausted_code(run: WorkflowHistory) -> str | None:
    """The type of the last activity's failure, where it had used up its attempts."""
    for event in reversed(run.events):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            failed = event.activity_task_failed_event_attributes
            if failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED:
                return str(failed.failure.application_failure_info.type)
            return None
    return None


_replays_today = replays_with(WORKFLOWS)

INVARIANTS = (
    workflows_end_as_expected,
    no_workflow_task_fails,
    _replays_today,
    billed_once_unless_in_doubt,
    all_expected_is_billed,
    cost_matches_bills,
    every_bill_is_on_record,
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
    artifacts_exist_with_their_hash,
    artifacts_are_their_own,
    attempts_within_policy,
    restarts_are_explained,
    no_secret_is_kept(CANARY),
)
"""What holds whatever the dice say; what a given fault explains, nobody knows before."""

DEPLOYED = (
    *(check for check in INVARIANTS if check is not _replays_today),
    # The newest code: what older builds began goes on with it.
    replays_with(next_release.WORKFLOWS),
)
"""The same after a deploy of the next release."""


async def _slow_enough(lab: VideoLab) -> None:
    """A supervisor's three workers have work in flight all the time."""
    await lab.api.set_latencies(LatencyChange(image_seconds=0.5, video_seconds=4.0))


async def _polled_twice(lab: VideoLab) -> None:
    """A video takes so long that a worker asks for it as often in every run: see `EXPLORED`."""
    await lab.api.set_latencies(LatencyChange(video_seconds=0.8))


DRAWN = Conditions(
    prepare=_slow_enough,
    # Nobody is there to decide, and a call may be cut off several times by chance.
    settings={"IN_DOUBT_RESENDS": "9"},
)
EXPLORED = Conditions(
    prepare=_polled_twice,
    # Once in vain and once more.
    settings={"VIDEO_POLL_SECONDS": "0.9"},
)


def draw_answer(dice: random.Random, spec: WorkflowSpec) -> BadApi:
    """One call of one workflow is answered badly."""
    if not isinstance(spec, VideoSpec):
        raise TypeError(f"{spec.workflow_id} asks for no videos.")
    call = dice.choice(tuple(Call))
    prompt = spec.character_prompt if call is Call.IMAGE else dice.choice(spec.video_prompts)
    kind = dice.choice(_PASSING)
    when = dice.choice(tuple(When))
    status = dice.choice(_STATUSES[when]) if kind is FaultKind.STATUS else 503
    rule = FaultRule(
        call=call,
        kind=kind,
        when=when,
        match=prompt,
        status=status,
        delay_seconds=round(dice.uniform(0.5, 4.0), 2) if kind is FaultKind.DELAY else 0,
    )
    return BadApi(rule=rule)


def is_paid(_activity: str, request: str) -> bool:
    """Whether the provider bills a request each time that it arrives."""
    return request in PAID
