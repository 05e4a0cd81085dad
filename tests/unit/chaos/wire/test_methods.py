"""Namespaces are renamed wherever a message names its own, and nowhere else."""

from __future__ import annotations

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceResponse,
    GetSystemInfoRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskCompletedResponse,
)

from chaos.wire.methods import (
    SERVICE,
    message_class,
    names_namespaces,
    rename,
    rename_request,
)

OPERATOR = "/temporal.api.operatorservice.v1.OperatorService/"


def test_messages_are_known_by_their_methods() -> None:
    poll = SERVICE + "PollWorkflowTaskQueue"
    assert message_class(poll, "Request") is PollWorkflowTaskQueueRequest
    assert message_class(poll, "Response") is PollWorkflowTaskQueueResponse
    assert message_class(OPERATOR + "ListSearchAttributes", "Request") is not None


@pytest.mark.parametrize(
    "method",
    [SERVICE + "OfTomorrow", "/grpc.health.v1.Health/Check", "/x/PollWorkflowTaskQueue", "", "/"],
)
def test_unknown_methods_have_no_messages(method: str) -> None:
    assert message_class(method, "Request") is None
    assert not names_namespaces(method, "Request")


@pytest.mark.parametrize(
    ("method", "part", "expected"),
    [
        ("PollActivityTaskQueue", "Request", True),
        ("PollActivityTaskQueue", "Response", True),
        ("RecordActivityTaskHeartbeat", "Response", False),
        ("GetSystemInfo", "Request", False),
        ("GetWorkflowExecutionHistory", "Response", True),
    ],
)
def test_only_messages_that_name_one_are_to_be_read(method: str, part: str, expected: bool) -> None:
    assert names_namespaces(SERVICE + method, part) is expected


def test_a_request_goes_on_with_another_namespace_whatever_it_names() -> None:
    request = PollWorkflowTaskQueueRequest(namespace="default", identity="default")
    assert rename_request(request, "lane") == "default"
    assert (request.namespace, request.identity) == ("lane", "default")
    assert rename_request(PollWorkflowTaskQueueRequest(), "lane") == ""
    assert rename_request(GetSystemInfoRequest(), "lane") == ""


def test_commands_for_its_own_namespace_go_along_and_for_others_do_not() -> None:
    own, other, none = Command(), Command(), Command()
    own.start_child_workflow_execution_command_attributes.namespace = "default"
    other.signal_external_workflow_execution_command_attributes.namespace = "abroad"
    none.request_cancel_external_workflow_execution_command_attributes.workflow_id = "w"
    request = RespondWorkflowTaskCompletedRequest(
        namespace="default", commands=[own, other, none], identity="default"
    )
    rename_request(request, "lane")
    first, second, third = request.commands
    assert first.start_child_workflow_execution_command_attributes.namespace == "lane"
    assert second.signal_external_workflow_execution_command_attributes.namespace == "abroad"
    assert third.request_cancel_external_workflow_execution_command_attributes.namespace == ""


def test_a_request_without_a_namespace_changes_nothing_within() -> None:
    """Else all that is empty would get one."""
    request = RespondWorkflowTaskCompletedRequest(commands=[Command()])
    request.commands[0].start_child_workflow_execution_command_attributes.workflow_id = "w"
    rename_request(request, "lane")
    assert request.namespace == "lane"
    assert request.commands[0].start_child_workflow_execution_command_attributes.namespace == ""


def test_replies_name_the_workers_own_again_however_deep() -> None:
    cause = Failure()
    cause.child_workflow_execution_failure_info.namespace = "lane"
    event = HistoryEvent()
    failed = event.child_workflow_execution_failed_event_attributes
    failed.namespace = "lane"
    failed.failure.cause.cause.CopyFrom(cause)
    begun = HistoryEvent()
    begun.workflow_execution_started_event_attributes.parent_workflow_namespace = "lane"
    begun.workflow_execution_started_event_attributes.input.payloads.append(Payload(data=b"lane"))
    task = PollWorkflowTaskQueueResponse()
    task.history.events.extend((event, begun))
    reply = RespondWorkflowTaskCompletedResponse(
        workflow_task=task,
        activity_tasks=[PollActivityTaskQueueResponse(workflow_namespace="lane")],
    )
    rename(reply, "lane", "default")
    first, second = reply.workflow_task.history.events
    seen = first.child_workflow_execution_failed_event_attributes
    assert seen.namespace == "default"
    assert seen.failure.cause.cause.child_workflow_execution_failure_info.namespace == "default"
    started = second.workflow_execution_started_event_attributes
    assert started.parent_workflow_namespace == "default"
    assert started.input.payloads[0].data == b"lane"
    assert reply.activity_tasks[0].workflow_namespace == "default"


def test_a_description_has_the_workers_own_name() -> None:
    reply = DescribeNamespaceResponse()
    reply.namespace_info.name = "lane"
    reply.namespace_info.description = "lane"
    rename(reply, "lane", "default")
    assert (reply.namespace_info.name, reply.namespace_info.description) == ("default", "lane")
