"""Boundaries are found in the messages of Temporal's API, and numbered within their workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import ActivityType, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import QueryResultType
from temporalio.api.failure.v1 import Failure
from temporalio.api.protocol.v1 import Message as ProtocolMessage
from temporalio.api.query.v1 import WorkflowQuery, WorkflowQueryResult
from temporalio.api.update.v1 import Acceptance, Input, Outcome, Rejection, Request, Response
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
    RecordActivityTaskHeartbeatResponse,
    RespondActivityTaskCanceledRequest,
    RespondActivityTaskCanceledResponse,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskCompletedByIdResponse,
    RespondActivityTaskCompletedRequest,
    RespondActivityTaskCompletedResponse,
    RespondActivityTaskFailedRequest,
    RespondActivityTaskFailedResponse,
    RespondQueryTaskCompletedRequest,
    RespondQueryTaskCompletedResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
    RespondWorkflowTaskFailedRequest,
    RespondWorkflowTaskFailedResponse,
    StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
)

from chaos.wire.boundary import Crossing
from chaos.wire.tasks import InFlight
from chaos.wire.tracking import Tracker

RUN = "run-1"
FAILED = QueryResultType.QUERY_RESULT_TYPE_FAILED


def workflow_task(
    token: bytes = b"t1", *, attempt: int = 1, previous: int = 0, **more: Any
) -> PollWorkflowTaskQueueResponse:
    return PollWorkflowTaskQueueResponse(
        task_token=token,
        workflow_execution=WorkflowExecution(workflow_id="w", run_id=more.pop("run_id", RUN)),
        workflow_type=WorkflowType(name="Order"),
        attempt=attempt,
        previous_started_event_id=previous,
        **more,
    )


def activity_task(
    token: bytes, activity_id: str, name: str = "pack", attempt: int = 1, run_id: str = RUN
) -> PollActivityTaskQueueResponse:
    return PollActivityTaskQueueResponse(
        task_token=token,
        workflow_execution=WorkflowExecution(workflow_id="w", run_id=run_id),
        activity_type=ActivityType(name=name),
        activity_id=activity_id,
        attempt=attempt,
    )


def schedule(activity_id: str, name: str = "pack") -> Command:
    command = Command()
    asked = command.schedule_activity_task_command_attributes
    asked.activity_id, asked.activity_type.name = activity_id, name
    return command


def marker(name: str) -> Command:
    command = Command()
    command.record_marker_command_attributes.marker_name = name
    return command


def about_update(update_id: str, body: Message) -> ProtocolMessage:
    packed = Packed()
    packed.Pack(body)
    return ProtocolMessage(id="m", protocol_instance_id=update_id, body=packed)


def update(update_id: str, name: str = "leave") -> ProtocolMessage:
    return about_update(update_id, Request(input=Input(name=name)))


class Server:
    """Calls as they pass: what each is at, in words."""

    def __init__(self) -> None:
        self.in_flight = InFlight()
        self.tracker = Tracker(self.in_flight)

    def call(
        self, method: str, request: Message, reply: Message | None, scope: str = "s"
    ) -> list[str]:
        """Without a reply it was lost before the server took it."""
        sent = self.tracker.sent(scope, method, request)
        if reply is None:
            return words(sent)
        reported, assigned = self.tracker.answered(scope, method, reply, sent)
        delivered = self.tracker.handed_over(scope, "worker-1", assigned)
        return words((*sent, *reported, *assigned, *delivered))

    def workflow_task(self, reply: PollWorkflowTaskQueueResponse, scope: str = "s") -> list[str]:
        return self.call("PollWorkflowTaskQueue", PollWorkflowTaskQueueRequest(), reply, scope)

    def activity_task(self, reply: PollActivityTaskQueueResponse) -> list[str]:
        return self.call("PollActivityTaskQueue", PollActivityTaskQueueRequest(), reply)

    def completed(self, token: bytes = b"t1", *, is_lost: bool = False, **more: Any) -> list[str]:
        request = RespondWorkflowTaskCompletedRequest(task_token=token, **more)
        reply = None if is_lost else RespondWorkflowTaskCompletedResponse()
        return self.call("RespondWorkflowTaskCompleted", request, reply)


def words(crossings: Sequence[Crossing]) -> list[str]:
    return [str(crossing.boundary) for crossing in crossings]


def given(what: str) -> list[str]:
    return [f"{what} assigned 1", f"{what} delivered 1"]


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_workflow_task_is_given_out_and_completed(server: Server) -> None:
    assert server.workflow_task(workflow_task()) == given("workflow_task Order")
    assert server.completed() == [
        "workflow_task Order completing 1",
        "workflow_task Order completed 1",
    ]


def test_a_poll_that_got_nothing_is_at_nothing(server: Server) -> None:
    assert server.workflow_task(PollWorkflowTaskQueueResponse()) == []
    assert server.activity_task(PollActivityTaskQueueResponse()) == []


def test_reports_of_what_was_given_out_before_pass(server: Server) -> None:
    assert server.completed(b"old", commands=[marker("m")]) == []
    request = RespondActivityTaskCompletedRequest(task_token=b"old")
    reply = RespondActivityTaskCompletedResponse()
    assert server.call("RespondActivityTaskCompleted", request, reply) == []


def test_whose_a_crossing_is() -> None:
    tracker = Tracker(InFlight())
    reply = workflow_task(attempt=3)
    _, (crossing,) = tracker.answered("s", "PollWorkflowTaskQueue", reply, ())
    assert (crossing.workflow_id, crossing.run_id, crossing.attempt) == ("w", RUN, 3)


def test_a_task_that_failed(server: Server) -> None:
    server.workflow_task(workflow_task())
    request = RespondWorkflowTaskFailedRequest(task_token=b"t1")
    reply = RespondWorkflowTaskFailedResponse()
    assert server.call("RespondWorkflowTaskFailed", request, reply) == [
        "workflow_task Order failing 1",
        "workflow_task Order failed 1",
    ]


@pytest.mark.parametrize(
    ("then", "ordinal"),
    [
        (workflow_task(b"t2", attempt=2), 1),
        (workflow_task(b"t2", previous=3), 2),
        (workflow_task(b"t2"), 2),  # as after an update that was rejected
        (workflow_task(b"t2", attempt=2, previous=3), 2),  # whose first attempt was lost
        (workflow_task(b"t2", run_id="run-2"), 2),
    ],
    ids=["retried", "next", "speculative", "next whose first was lost", "next run"],
)
def test_workflow_tasks_are_numbered_without_their_retries(
    server: Server, then: PollWorkflowTaskQueueResponse, ordinal: int
) -> None:
    server.workflow_task(workflow_task())
    assert server.workflow_task(then)[0] == f"workflow_task Order assigned {ordinal}"


def test_the_same_id_in_another_namespace_is_another_workflow(server: Server) -> None:
    server.workflow_task(workflow_task())
    assert server.workflow_task(workflow_task(b"t2"), scope="other") == given("workflow_task Order")


def test_activities_are_numbered_as_they_are_asked_for(server: Server) -> None:
    """In which order they are given out is chance."""
    server.workflow_task(workflow_task())
    server.completed(commands=[schedule("1"), schedule("2", "send"), schedule("3")])
    assert server.activity_task(activity_task(b"a3", "3"))[0] == "activity pack assigned 2"
    assert server.activity_task(activity_task(b"a1", "1"))[0] == "activity pack assigned 1"
    assert server.activity_task(activity_task(b"a2", "2", "send"))[0] == "activity send assigned 1"


def test_attempts_of_one_activity_have_one_number(server: Server) -> None:
    server.activity_task(activity_task(b"a1", "1"))
    again = server.activity_task(activity_task(b"a2", "1", attempt=2))
    assert again[0] == "activity pack assigned 1"
    other_run = server.activity_task(activity_task(b"a3", "1", run_id="run-2"))
    assert other_run[0] == "activity pack assigned 2"


@pytest.mark.parametrize(
    ("method", "request_", "reply", "stages"),
    [
        (
            "RespondActivityTaskCompleted",
            RespondActivityTaskCompletedRequest(task_token=b"a1"),
            RespondActivityTaskCompletedResponse(),
            ("completing", "completed"),
        ),
        (
            "RespondActivityTaskFailed",
            RespondActivityTaskFailedRequest(task_token=b"a1"),
            RespondActivityTaskFailedResponse(),
            ("failing", "failed"),
        ),
        (
            "RespondActivityTaskCanceled",
            RespondActivityTaskCanceledRequest(task_token=b"a1"),
            RespondActivityTaskCanceledResponse(),
            ("failing", "failed"),
        ),
        (
            "RespondActivityTaskCompletedById",
            RespondActivityTaskCompletedByIdRequest(workflow_id="w", run_id=RUN, activity_id="1"),
            RespondActivityTaskCompletedByIdResponse(),
            ("completing", "completed"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reports_of_activities(
    server: Server, method: str, request_: Message, reply: Message, stages: tuple[str, str]
) -> None:
    assert server.activity_task(activity_task(b"a1", "1")) == given("activity pack")
    assert [c.boundary.subject for c in server.in_flight.of("worker-1")] == ["pack"]
    expected = [f"activity pack {stage} 1" for stage in stages]
    assert server.call(method, request_, reply) == expected
    assert server.in_flight.of("worker-1") == ()


def test_a_report_by_id_means_the_newest_run(server: Server) -> None:
    server.workflow_task(workflow_task())
    server.activity_task(activity_task(b"a1", "1"))
    request = RespondActivityTaskCompletedByIdRequest(workflow_id="w", activity_id="1")
    assert server.call("RespondActivityTaskCompletedById", request, None) == [
        "activity pack completing 1"
    ]


def test_a_report_that_is_lost_leaves_the_activity_in_hand(server: Server) -> None:
    server.activity_task(activity_task(b"a1", "1"))
    request = RespondActivityTaskCompletedRequest(task_token=b"a1")
    assert server.call("RespondActivityTaskCompleted", request, None) == [
        "activity pack completing 1"
    ]
    assert len(server.in_flight.of("worker-1")) == 1


def test_a_worker_that_is_gone_has_nothing_in_hand(server: Server) -> None:
    server.activity_task(activity_task(b"a1", "1"))
    server.tracker.left("worker-2")
    assert len(server.in_flight.of("worker-1")) == 1
    server.tracker.left("worker-1")
    assert server.in_flight.of("worker-1") == ()


def test_heartbeats_are_numbered_one_by_one(server: Server) -> None:
    server.activity_task(activity_task(b"a1", "1"))
    request = RecordActivityTaskHeartbeatRequest(task_token=b"a1")
    reply = RecordActivityTaskHeartbeatResponse()
    for number in (1, 2):
        assert server.call("RecordActivityTaskHeartbeat", request, reply) == [
            f"heartbeat pack completing {number}",
            f"heartbeat pack completed {number}",
        ]


def test_eager_activities_come_with_the_reply(server: Server) -> None:
    server.workflow_task(workflow_task())
    request = RespondWorkflowTaskCompletedRequest(task_token=b"t1", commands=[schedule("1")])
    reply = RespondWorkflowTaskCompletedResponse(activity_tasks=[activity_task(b"a1", "1")])
    assert server.call("RespondWorkflowTaskCompleted", request, reply)[2:] == given("activity pack")


def test_so_do_workflow_tasks(server: Server) -> None:
    reply = StartWorkflowExecutionResponse(eager_workflow_task=workflow_task())
    request = StartWorkflowExecutionRequest()
    assert server.call("StartWorkflowExecution", request, reply) == given("workflow_task Order")
    next_one = RespondWorkflowTaskCompletedResponse(workflow_task=workflow_task(b"t2", previous=3))
    completed = RespondWorkflowTaskCompletedRequest(task_token=b"t1")
    assert server.call("RespondWorkflowTaskCompleted", completed, next_one)[2:] == [
        "workflow_task Order assigned 2",
        "workflow_task Order delivered 2",
    ]


def test_markers_count_when_the_server_has_them(server: Server) -> None:
    server.workflow_task(workflow_task())
    commands = [marker("local"), marker("patch"), marker("local")]
    lost = ["marker local completing 1", "marker patch completing 1", "marker local completing 2"]
    assert server.completed(commands=commands, is_lost=True)[1:] == lost
    assert server.completed(commands=commands)[1:4] == lost
    server.workflow_task(workflow_task(b"t2", previous=3))
    assert server.completed(b"t2", commands=[marker("local")])[1] == "marker local completing 3"


@pytest.mark.parametrize(
    ("result", "stages"), [(0, ("completing", "completed")), (FAILED, ("failing", "failed"))]
)
def test_a_query_task(server: Server, result: Any, stages: tuple[str, str]) -> None:
    """It is no workflow task."""
    asked = workflow_task(query=WorkflowQuery(query_type="state"))
    assert server.workflow_task(asked) == given("query state")
    request = RespondQueryTaskCompletedRequest(task_token=b"t1", completed_type=result)
    reply = RespondQueryTaskCompletedResponse()
    expected = [f"query state {stage} 1" for stage in stages]
    assert server.call("RespondQueryTaskCompleted", request, reply) == expected


def test_queries_that_come_with_a_workflow_task(server: Server) -> None:
    queries = {"q1": WorkflowQuery(query_type="state"), "q2": WorkflowQuery(query_type="place")}
    assigned = server.workflow_task(workflow_task(queries=queries))[:3]
    assert sorted(assigned) == [
        "query place assigned 1",
        "query state assigned 1",
        "workflow_task Order assigned 1",
    ]
    results = {
        "q1": WorkflowQueryResult(),
        "q2": WorkflowQueryResult(result_type=FAILED),
        "unknown": WorkflowQueryResult(),
    }
    assert sorted(server.completed(query_results=results)[1:3]) == [
        "query place failing 1",
        "query state completing 1",
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(outcome=Outcome(success=Payloads())), ["update leave completing 1"]),
        (Response(outcome=Outcome(failure=Failure())), ["update leave failing 1"]),
        (Rejection(), ["update leave failing 1"]),
        (Acceptance(), []),
    ],
    ids=["completed", "failed", "rejected", "accepted only"],
)
def test_updates(server: Server, answer: Message, expected: list[str]) -> None:
    assigned = server.workflow_task(workflow_task(messages=[update("u1")]))
    assert assigned[1] == "update leave assigned 1"
    messages = [about_update("u1", answer), about_update("unknown", Response())]
    assert server.completed(messages=messages, is_lost=True)[1:] == expected


def test_an_update_that_is_given_out_again_has_its_number(server: Server) -> None:
    server.workflow_task(workflow_task(messages=[update("u1")]))
    again = workflow_task(b"t2", attempt=2, messages=[update("u2"), update("u1")])
    assert server.workflow_task(again)[1:3] == [
        "update leave assigned 2",
        "update leave assigned 1",
    ]


def test_an_update_may_be_answered_in_a_later_task(server: Server) -> None:
    server.workflow_task(workflow_task(messages=[update("u1")]))
    server.completed(messages=[about_update("u1", Acceptance())])
    server.workflow_task(workflow_task(b"t2", previous=3))
    messages = [about_update("u1", Response(outcome=Outcome(success=Payloads())))]
    assert server.completed(b"t2", messages=messages)[1] == "update leave completing 1"


def test_what_has_no_name_is_at_no_boundary(server: Server) -> None:
    server.workflow_task(workflow_task())
    assert server.completed(commands=[marker("")], is_lost=True)[1:] == []
