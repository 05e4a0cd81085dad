"""What open workflows wait for: asked of the server, saved, and read back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.api.failure.v1 import (
    ActivityFailureInfo,
    Failure,
    TimeoutFailureInfo,
)
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueueVersionInfo
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.histories import (
    CHILDREN,
    HISTORIES,
    file_stem,
    load_children,
    load_histories,
    save_histories,
)
from chaos.evidence.pending import Pending, PendingActivity, pending_of, told
from tests.unit.chaos.made_history import Made, at, refused
from tests.unit.kept import EVIDENCE

STATES = PendingActivityState


def _stamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at(seconds))
    return stamp


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


class Server:
    """It has runs, tells what is pending, and who polls."""

    namespace = "default"

    def __init__(self, *made: Made, described: DescribeWorkflowExecutionResponse) -> None:
        self._runs = {each.run_id: each for each in made}
        self._latest = {each.workflow_id: each for each in made}
        self._described = described
        self.status = WorkflowExecutionStatus.RUNNING
        self.polled: dict[str, list[PollerInfo]] = {}
        self.refuses = False
        self.workflow_service = SimpleNamespace(describe_task_queue=self._describe_queue)

    def get_workflow_handle(self, workflow_id: str, run_id: str | None = None) -> Any:
        async def fetch_history() -> WorkflowHistory:
            made = self._runs[run_id] if run_id else self._latest[workflow_id]
            return WorkflowHistory(workflow_id, made.events)

        async def describe(*, rpc_timeout: timedelta) -> Any:
            if self.refuses:
                raise RPCError(f"not within {rpc_timeout}", RPCStatusCode.UNAVAILABLE, b"")
            return SimpleNamespace(
                status=self.status, task_queue="orders", raw_description=self._described
            )

        return SimpleNamespace(fetch_history=fetch_history, describe=describe)

    async def _describe_queue(
        self,
        request: DescribeTaskQueueRequest,
        *,
        timeout: timedelta,  # noqa: ASYNC109 - as the SDK calls it
    ) -> DescribeTaskQueueResponse:
        assert timeout
        version = TaskQueueVersionInfo()
        (kind,) = request.task_queue_types
        version.types_info[kind].pollers.extend(self.polled.get(request.task_queue.name, []))
        response = DescribeTaskQueueResponse()
        response.versions_info[""].CopyFrom(version)
        return response

    def as_client(self) -> Client:
        return cast("Client", self)


def _activity(state: STATES.ValueType, **fields: Any) -> PendingActivityInfo:
    info = PendingActivityInfo(activity_id="2", state=state, attempt=3, **fields)
    info.activity_type.name = "charge_card"
    info.activity_options.task_queue.name = "cards"
    info.last_failure.CopyFrom(refused("card declined"))
    info.last_started_time.CopyFrom(_stamp(20))
    info.last_worker_identity = "7@host"
    return info


async def _pending(*activities: PendingActivityInfo, polled: float | None = None) -> Pending:
    server = Server(described=DescribeWorkflowExecutionResponse(pending_activities=activities))
    if polled is not None:
        poller = PollerInfo(identity="7@host", last_access_time=_stamp(polled))
        server.polled["cards"] = [poller]
    found = await pending_of(server.as_client(), "order-1")
    assert found
    return found


async def test_an_activity_between_two_tries_is_due_at_its_next_one() -> None:
    scheduled = STATES.PENDING_ACTIVITY_STATE_SCHEDULED

    found = await _pending(_activity(scheduled, next_attempt_schedule_time=_stamp(60)), polled=15)

    (activity,) = found.activities
    assert found.activity("2") is activity
    assert found.activity("3") is None
    assert (activity.kind, activity.attempt, activity.due_at) == ("charge_card", 3, at(60))
    assert (activity.started_at, activity.worker) == (None, "")
    assert activity.last_failure == "ApplicationError: card declined"
    assert activity.queue
    assert (activity.queue.polled_at, activity.queue.polled_by) == (at(15), "7@host")


async def test_an_activity_that_a_worker_has_is_that_workers() -> None:
    (begun,) = (await _pending(_activity(STATES.PENDING_ACTIVITY_STATE_STARTED))).activities
    (asked,) = (
        await _pending(_activity(STATES.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED))
    ).activities

    assert (begun.started_at, begun.worker, begun.queue) == (at(20), "7@host", None)
    assert (begun.cancel_requested, asked.cancel_requested) == (False, True)


async def test_a_queue_without_pollers_is_polled_by_nobody() -> None:
    scheduled = STATES.PENDING_ACTIVITY_STATE_SCHEDULED

    (activity,) = (await _pending(_activity(scheduled, scheduled_time=_stamp(5)))).activities

    assert activity.due_at == at(5)
    assert activity.queue
    assert (activity.queue.name, activity.queue.polled_at) == ("cards", None)


async def test_a_workflow_task_is_told_since_its_first_attempt() -> None:
    described = DescribeWorkflowExecutionResponse()
    task = described.pending_workflow_task
    task.state = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    task.attempt = 7
    task.scheduled_time.CopyFrom(_stamp(50))
    task.original_scheduled_time.CopyFrom(_stamp(30))

    found = await pending_of(Server(described=described).as_client(), "order-1")

    assert found
    assert found.task
    assert (found.task.attempt, found.task.since, found.task.started_at) == (7, at(30), None)
    assert found.task.queue
    assert found.task.queue.name == "orders"


async def test_of_what_has_ended_or_cannot_be_asked_nothing_is_known() -> None:
    server = Server(described=DescribeWorkflowExecutionResponse())
    server.status = WorkflowExecutionStatus.COMPLETED
    assert await pending_of(server.as_client(), "order-1") is None

    server.status, server.refuses = WorkflowExecutionStatus.RUNNING, True
    assert await pending_of(server.as_client(), "order-1") is None


@pytest.mark.parametrize("workflow_id", ["order-1", "shop/order 1", "50%", "../up", "ä:1+2"])
async def test_what_is_saved_of_any_id_is_read_back(workflow_id: str, tmp_path: Path) -> None:
    made = Made(workflow_id)
    made.scheduled("charge_card")
    (tmp_path / "case").mkdir()
    activity = _activity(STATES.PENDING_ACTIVITY_STATE_STARTED)
    described = DescribeWorkflowExecutionResponse(pending_activities=[activity])

    server = Server(made, described=described)
    assert await save_histories(server.as_client(), tmp_path / "case", [workflow_id]) == []

    workflow = load_histories(tmp_path / "case" / "histories", "")[workflow_id]
    (pending,) = (each.pending for each in workflow.activities)
    assert pending
    assert (pending.attempt, pending.worker) == (3, "7@host")
    assert _names(tmp_path) == ["case"]
    assert "/" not in file_stem(workflow_id)


def test_workflows_are_read_in_the_same_order_everywhere() -> None:
    found = load_histories(EVIDENCE / "concurrency" / "one_worker" / HISTORIES, "")

    assert list(found) == [f"load-{number:03}" for number in range(1, 6)]


async def test_of_a_workflow_that_has_ended_nothing_is_saved_but_its_history(
    tmp_path: Path,
) -> None:
    server = Server(Made().ended(), described=DescribeWorkflowExecutionResponse())

    await save_histories(server.as_client(), tmp_path, ["order-1"])

    assert _names(tmp_path) == ["histories"]
    assert load_histories(tmp_path / "histories", "")["order-1"].pending is None


@pytest.mark.parametrize(("is_over", "left"), [(True, ["mail"]), (False, [])])
async def test_a_child_that_outlives_its_parent_is_named(
    tmp_path: Path, *, is_over: bool, left: list[str]
) -> None:
    parent, mail = Made(), Made("mail", "run-c", parent=("order-1", "run-1"))
    for made, its_child in ((parent, ("mail", "run-c")), (mail, ("stamp", "run-d"))):
        begun = made.add("CHILD_WORKFLOW_EXECUTION_STARTED", 2)
        child = begun.child_workflow_execution_started_event_attributes.workflow_execution
        child.workflow_id, child.run_id = its_child
    if is_over:
        parent.ended()
    stamp = Made("stamp", "run-d", parent=("mail", "run-c"))
    server = Server(parent, mail, stamp, described=DescribeWorkflowExecutionResponse())

    assert await save_histories(server.as_client(), tmp_path, ["order-1"]) == left
    saved = {each.workflow_id: each.parent for each in load_children(tmp_path / CHILDREN)}
    assert saved == {"mail": ("order-1", "run-1"), "stamp": ("mail", "run-c")}
    assert not any("mail" in file.name for file in (tmp_path / CHILDREN).iterdir())
    assert await save_histories(server.as_client(), tmp_path, ["order-1", "mail"]) == []


def test_an_activity_that_has_closed_or_was_left_has_nothing_pending() -> None:
    pending = Pending(
        at=at(63), activities=(PendingActivity(activity_id="2", kind="charge_card", attempt=3),)
    )
    closed, left, still_open = Made(), Made(), Made()
    closed.done(closed.scheduled("charge_card"))
    left.scheduled("charge_card")
    left.ended()
    still_open.scheduled("charge_card")

    found = [made.workflow(pending).activities[0].pending for made in (closed, left, still_open)]

    assert found == [None, None, pending.activities[0]]


def test_a_failure_is_told_with_its_causes() -> None:
    outer = Failure(message="Activity task failed", cause=refused("no\n  funds", "CardError"))
    outer.activity_failure_info.CopyFrom(ActivityFailureInfo())
    outer.activity_failure_info.activity_type.name = "charge_card"
    silent = Failure(
        message="activity Heartbeat timeout", timeout_failure_info=TimeoutFailureInfo()
    )

    assert told(outer) == "Activity task failed (charge_card), caused by CardError: no funds"
    assert told(silent) == "activity Heartbeat timeout"
    assert len(told(refused("x" * 9999))) < 600
