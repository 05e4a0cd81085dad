"""Operations that older releases began must go on: their histories replay with today's code.

`tests/data/histories/` has one of each course that an operation took, by the release that began it,
and loses none: `python tests/data/renew.py --histories RELEASE FOLDER …` adds what is new.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from chaos.evidence.history import Workflow
from chaos.invariants.survival import replays_with
from tests.chaos.video.versions import change, next_release
from tests.unit.kept import kept
from workflows import videos
from workflows.models import WORKER_LOST

DATA = Path(__file__).parents[2] / "data"

ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
}

ON_THE_WAY = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventType.EVENT_TYPE_TIMER_CANCELED,
    EventType.EVENT_TYPE_TIMER_FIRED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_MARKER_RECORDED,
}
"""What an operation may meet: a pause or a decision, a cancel, a wait, a failed step, a patch."""


def histories(folder: str) -> Mapping[str, WorkflowHistory]:
    """By their files' names, which begin with the release."""
    files = sorted((DATA / folder).rglob("*.json.gz"))
    return {
        str(file.relative_to(DATA / folder)): WorkflowHistory.from_json(
            file.name, gzip.decompress(file.read_bytes()).decode()
        )
        for file in files
    }


def problems(workflows: Sequence[type], found: Mapping[str, WorkflowHistory]) -> Sequence[str]:
    """Of a replay of all of them with these workflows."""
    kept_workflows = {name: Workflow(name, (run,)) for name, run in found.items()}
    evidence = replace(kept("concurrency", "one_worker"), workflows=kept_workflows)
    return replays_with(workflows).examine(evidence).problems


@pytest.fixture(scope="module")
def kept_ones() -> Mapping[str, WorkflowHistory]:
    return histories("histories")


def test_the_kept_histories_have_all_that_an_operation_can_meet(
    kept_ones: Mapping[str, WorkflowHistory],
) -> None:
    events = [event for run in kept_ones.values() for event in run.events]

    assert {run.events[-1].event_type for run in kept_ones.values()} == ENDS
    assert {event.event_type for event in events} >= ON_THE_WAY
    assert any(WORKER_LOST in str(event) for event in events)


@pytest.mark.parametrize(
    "workflows", [videos.WORKFLOWS, next_release.WORKFLOWS], ids=["today", "next_release"]
)
def test_every_kept_history_replays(
    kept_ones: Mapping[str, WorkflowHistory], workflows: Sequence[type]
) -> None:
    assert problems(workflows, kept_ones) == ()


def test_a_change_that_is_not_behind_patched_does_not_replay(
    kept_ones: Mapping[str, WorkflowHistory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change.ChecksTheBudget, "_is_checked", lambda _: True)

    found = problems(next_release.WORKFLOWS, kept_ones)

    # All but those that ended before the change has a say: a wrong input, and the like.
    begun = [name for name, run in kept_ones.items() if _went_beyond_its_first_step(run)]
    assert len(begun) > len(kept_ones) / 2
    assert [name for name in begun if not any(each.startswith(name) for each in found)] == []


def test_a_change_that_was_made_without_a_patch_once_is_seen() -> None:
    """`open_operation` came before the first release, when no operation was running anywhere."""
    older = histories("lost_histories")

    found = problems(videos.WORKFLOWS, older)

    assert len(found) == len(older) > 0
    assert all("open_operation" in each for each in found)


def _went_beyond_its_first_step(run: WorkflowHistory) -> bool:
    steps = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in run.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    return steps[:1] == ["open_operation"] and "generate_character" in steps
