"""Each boundary of an unmodified worker's work is reached, and what is decided there is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)

from chaos.process.waiting import wait_until
from chaos.wire.boundary import Stage
from chaos.wire.journal import LEFT, Called, Polled, Reached
from chaos.wire.specs import Decision
from tests.integration.wire.bed import (
    DEADLINE_SECONDS,
    QUEUE,
    Lane,
    reached,
    resume,
    stages,
)
from tests.integration.wire.conftest import LaneOf

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = [Stage.ASSIGNED, Stage.DELIVERED, Stage.COMPLETING, Stage.COMPLETED]
OFTEN = [
    ("activity pack", Stage.DELIVERED),
    ("activity pack", Stage.COMPLETED),
    ("workflow_task Packing", Stage.COMPLETING),
]
KILLED = [
    pytest.param(what, stage, marks=() if (what, stage) in OFTEN else pytest.mark.nightly)
    for what in ("activity pack", "workflow_task Packing")
    for stage in ALL
]
LONGER_THAN_A_REPORT_TAKES = 0.5
TASK_TIMEOUT = timedelta(seconds=1)


async def start(lane: Lane, workflow: str, *arguments: str) -> WorkflowHandle[object, object]:
    return await lane.client.start_workflow(
        workflow,
        args=arguments,
        id="parcel",
        task_queue=QUEUE,
        task_timeout=TASK_TIMEOUT,
    )


async def result(handle: WorkflowHandle[object, object]) -> object:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await handle.result()


async def reports_are_over(lane: Lane, method: str, count: int) -> None:
    """The records of so many calls are on file."""
    await wait_until(
        lambda: len(lane.process.calls(lane.line, method)) >= count,
        what=f"{method} is on record",
        deadline_seconds=DEADLINE_SECONDS,
    )


async def test_an_activity_and_its_workflow_tasks_are_at_all_stages_in_order(lane: Lane) -> None:
    breakpoints = [
        await lane.set(f"{what} {stage}")
        for what in ("workflow_task Packing", "activity pack")
        for stage in ALL
    ]
    handle = await start(lane, "Packing", "A")
    passages = [await resume(lane.wire, breakpoint_) for breakpoint_ in breakpoints]
    assert await result(handle) == "A packed"

    await reports_are_over(lane, "RespondWorkflowTaskCompleted", 2)
    assert [str(passage.crossing.boundary) for passage in passages] == [
        f"{what} {stage} 1" for what in ("workflow_task Packing", "activity pack") for stage in ALL
    ]
    assert {passage.crossing.workflow_id for passage in passages} == {"parcel"}
    seen = lane.crossings("parcel")
    assert stages(seen, "activity pack") == ALL
    ordinals = [c.boundary.ordinal for c in seen if c.boundary.kind == "workflow_task"]
    assert ordinals == [1] * 4 + [2] * 4
    assert {c.attempt for c in seen} == {1}


async def test_a_worker_that_is_not_held_passes_everything(lane: Lane) -> None:
    """The counter-example: without a breakpoint nothing is held or reached."""
    await lane.set("activity weigh assigned")
    assert await result(await start(lane, "Packing", "A")) == "A packed"
    assert not [r for r in lane.process.records(lane.line) if isinstance(r, Reached)]


@pytest.mark.parametrize(("what", "stage"), KILLED)
async def test_a_worker_killed_at_a_boundary_has_left_and_the_next_one_finishes(
    lane: Lane, what: str, stage: Stage
) -> None:
    breakpoint_ = await lane.set(f"{what} {stage}")
    handle = await start(lane, "Packing", "A")
    passage = await reached(breakpoint_)
    await lane.worker.kill()
    await lane.start_worker()
    assert await result(handle) == "A packed"

    decisions = lane.process.decisions(lane.line)
    # A worker that dies of what it was given may have come to report it, or not.
    assert decisions in ([[], [LEFT]] if stage is Stage.DELIVERED else [[LEFT]])
    history = await handle.fetch_history()
    completed = [
        e for e in history.events if e.HasField("activity_task_completed_event_attributes")
    ]
    assert len(completed) == 1
    if what == "activity pack" and stage is not Stage.COMPLETED:
        attempts = {c.attempt for c in lane.crossings("parcel") if c.boundary.kind == "activity"}
        assert attempts == {1, 2}, "the attempt in flight was lost, and there was one more"
    assert passage.crossing.boundary.ordinal == 1


async def test_a_lost_acknowledgement_is_sent_again_and_refused(lane: Lane) -> None:
    """The server has completed the activity, and the worker is told that the connection broke."""
    breakpoint_ = await lane.set("activity pack completed")
    handle = await start(lane, "Packing", "A")
    await lane.wire.decide(await reached(breakpoint_), Decision.DROP)
    assert await result(handle) == "A packed"

    await reports_are_over(lane, "RespondActivityTaskCompleted", 2)
    calls = lane.process.calls(lane.line, "RespondActivityTaskCompleted")
    assert [(call.status, call.decision) for call in calls] == [
        ("UNAVAILABLE", "drop"),
        ("NOT_FOUND", ""),
    ]
    assert calls[0].replied_at is not None
    assert calls[0].crossings[-1].boundary.stage is Stage.COMPLETED


@pytest.mark.parametrize("stage", [Stage.DELIVERED, Stage.COMPLETING])
async def test_a_report_that_is_dropped_never_reaches_the_server(lane: Lane, stage: Stage) -> None:
    breakpoint_ = await lane.set(f"activity pack {stage}")
    handle = await start(lane, "Packing", "A")
    await lane.wire.decide(await reached(breakpoint_), Decision.DROP)
    assert await result(handle) == "A packed"

    await reports_are_over(lane, "RespondActivityTaskCompleted", 2)
    first, second = lane.process.calls(lane.line, "RespondActivityTaskCompleted")
    assert (first.status, first.forwarded_at) == ("UNAVAILABLE", None)
    assert second.status == "OK"


async def test_a_status_is_told_in_the_place_of_the_server(lane: Lane) -> None:
    breakpoint_ = await lane.set("activity pack completing")
    handle = await start(lane, "Packing", "A")
    await lane.wire.decide(await reached(breakpoint_), "RESOURCE_EXHAUSTED")
    assert await result(handle) == "A packed"

    await reports_are_over(lane, "RespondActivityTaskCompleted", 2)
    calls = lane.process.calls(lane.line, "RespondActivityTaskCompleted")
    assert [call.status for call in calls] == ["RESOURCE_EXHAUSTED", "OK"]


async def test_a_silent_report_is_broken_off_by_the_worker(lane: Lane) -> None:
    """Nothing is told: the activity times out on the server, and is done again."""
    breakpoint_ = await lane.set("activity pack completing")
    handle = await start(lane, "Packing", "A")
    await lane.wire.decide(await reached(breakpoint_), Decision.SILENCE)
    assert await result(handle) == "A packed"
    attempts = {c.attempt for c in lane.crossings("parcel") if c.boundary.kind == "activity"}
    assert attempts == {1, 2}


async def test_a_failed_attempt_a_heartbeat_and_a_marker_have_boundaries(lane: Lane) -> None:
    assert await result(await start(lane, "Carrying", "A")) == "A carried"

    await reports_are_over(lane, "RespondWorkflowTaskCompleted", 2)
    seen = lane.crossings("parcel")
    carried = [c for c in seen if str(c.boundary).startswith("activity carry")]
    assert [(c.attempt, c.boundary.stage) for c in carried] == [
        *((1, stage) for stage in (Stage.ASSIGNED, Stage.DELIVERED, Stage.FAILING, Stage.FAILED)),
        *((2, stage) for stage in ALL),
    ]
    assert {c.boundary.ordinal for c in carried} == {1}
    reported = [Stage.COMPLETING, Stage.COMPLETED]
    assert stages(seen, "heartbeat carry") == reported
    assert stages(seen, "marker core_local_activity") == reported


async def test_updates_and_queries_have_boundaries(lane: Lane) -> None:
    handle = await start(lane, "Counter")
    assert await handle.execute_update("leave", "A") == 1
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update("leave", "")
    assert await handle.query("parcels") == ["A"]
    with pytest.raises(WorkflowQueryFailedError):
        await handle.query("no_such_query")
    await handle.signal("close")
    assert await result(handle) == ["A"]

    await reports_are_over(lane, "RespondQueryTaskCompleted", 2)
    seen = lane.crossings("parcel")
    # A call is on record when it is over; the next update may have been given out by then.
    of_updates = [c for c in seen if str(c.boundary).startswith("update leave")]
    left = sorted(of_updates, key=lambda c: c.boundary.ordinal)
    given = [Stage.ASSIGNED, Stage.DELIVERED]
    assert [(c.boundary.ordinal, c.boundary.stage) for c in left] == [
        *((1, stage) for stage in ALL),
        *((2, stage) for stage in (*given, Stage.FAILING, Stage.FAILED)),
    ]
    assert stages(seen, "query parcels") == ALL
    assert stages(seen, "query no_such_query") == [*given, Stage.FAILING, Stage.FAILED]


async def test_an_eager_activity_is_assigned_with_the_reply(new_lane: LaneOf) -> None:
    async with new_lane(EAGER="1") as lane:
        breakpoint_ = await lane.set("activity pack assigned")
        handle = await start(lane, "Packing", "A")
        await resume(lane.wire, breakpoint_)
        assert await result(handle) == "A packed"
        await reports_are_over(lane, "RespondWorkflowTaskCompleted", 2)
        first = lane.process.calls(lane.line, "RespondWorkflowTaskCompleted")[0]

    assert [str(c.boundary) for c in first.crossings] == [
        "workflow_task Packing completing 1",
        "workflow_task Packing completed 1",
        "activity pack assigned 1",
        "activity pack delivered 1",
    ]


async def test_a_worker_that_has_taken_anothers_place_polls_anew(lane: Lane) -> None:
    def polls() -> Sequence[tuple[str, str, str]]:
        return [(poll.kind, poll.queue, poll.identity) for poll in lane.wire.polls(lane.line)]

    first = polls()
    await lane.worker.kill()
    await lane.start_worker()
    again = polls()[len(first) :]
    assert sorted(kind for kind, _, _ in first) == ["activity", "workflow"]
    assert sorted(kind for kind, _, _ in again) == ["activity", "workflow"]
    assert {queue for _, queue, _ in polls()} == {QUEUE}
    assert {identity for _, _, identity in first} != {identity for _, _, identity in again}
    on_file = [r for r in lane.process.records(lane.line) if isinstance(r, Polled)]
    assert on_file == lane.wire.polls(lane.line)


async def test_lanes_with_one_namespace_and_queue_share_a_server(new_lane: LaneOf) -> None:
    """The worker names `default` and knows no other; each has a namespace of its own all the
    same, also for its children and its signals.
    """
    async with new_lane() as one, new_lane() as other:
        handles = [await start(lane, "Depot") for lane in (one, other)]
        assert [await result(handle) for handle in handles] == ["default", "default"]
        for lane in (one, other):
            described = await lane.client.get_workflow_handle("parcel-counter").describe()
            assert described.status is WorkflowExecutionStatus.COMPLETED
        assert not [call for call in one.process.calls(one.line) if _is_wrong(call)]


def _is_wrong(call: Called) -> bool:
    return call.status not in {"OK", ""}
