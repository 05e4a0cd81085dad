"""A deploy's routing is asked for until the server has it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentResponse
from temporalio.service import RPCError, RPCStatusCode

from chaos.experiment.deployments import Route, route
from chaos.process.waiting import DeadlineExceededError

TO = Route(deployment="orders", build_id="2.0", task_queue="orders")
DONE = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED


class _Service:
    """A server that answers the first requests for a new routing so, and then takes it."""

    def __init__(self, *answers: RPCStatusCode) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def set_worker_deployment_current_version(self, *_: object, **__: object) -> None:
        self.asked += 1
        if self.answers:
            raise RPCError("Timeout expired", self.answers.pop(0), b"")

    async def describe_worker_deployment(
        self, *_: object, **__: object
    ) -> DescribeWorkerDeploymentResponse:
        answer = DescribeWorkerDeploymentResponse()
        answer.worker_deployment_info.routing_config_update_state = DONE
        return answer


def _client(service: _Service) -> Any:
    return SimpleNamespace(namespace="default", workflow_service=service)


@pytest.mark.parametrize(
    "status",
    [
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
    ],
)
async def test_it_is_asked_for_again_where_the_server_is_not_ready_or_slow(
    status: RPCStatusCode,
) -> None:
    service = _Service(status, status)

    await route(_client(service), TO, deadline_seconds=30)

    assert service.asked == 3


async def test_what_the_server_refuses_is_not_asked_for_again() -> None:
    service = _Service(RPCStatusCode.PERMISSION_DENIED)

    with pytest.raises(RPCError):
        await route(_client(service), TO, deadline_seconds=30)

    assert service.asked == 1


async def test_a_version_that_never_polls_is_named() -> None:
    service = _Service(*[RPCStatusCode.NOT_FOUND] * 9)

    with pytest.raises(DeadlineExceededError, match=r"2\.0 .* TEMPORAL_WORKER_BUILD_ID"):
        await route(_client(service), TO, deadline_seconds=0)
