"""Steps of a deploy by Worker Versioning: which version new and unpinned workflows get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import RoutingConfigUpdateState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from chaos.process.waiting import DeadlineExceededError, wait_until

IDENTITY = "temporal-chaos"
"""Who changed the routing, on the server's record."""

_PATIENCE = timedelta(seconds=10)
_NOT_YET = frozenset(
    {
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.CANCELLED,  # so the SDK reports its own timeout
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.CANCELLED,
    }
)
"""How the server says that it has not seen a version, or not all its task queues, poll yet; or
that it is too busy to answer, which the client calls cancelled where its own patience ended. To ask
again changes nothing that was taken.
"""
_DONE = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED
_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class Route:
    """Which version of a worker deployment becomes the current one; with a `percent` the ramping
    one, which gets so many of the workflows that start in its `task_queue`.
    """

    deployment: str
    build_id: str
    task_queue: str
    percent: float | None = None


async def route(client: Client, to: Route, deadline_seconds: float) -> None:
    """Change the routing, and return when the task queue knows. The server knows a version from
    when its first worker polls. Raises DeadlineExceededError, RPCError.
    """
    told: list[str] = []

    async def is_taken() -> bool:
        try:
            await _ask(client, to)
        except RPCError as error:
            if error.status not in _NOT_YET:
                raise
            told[:] = [error.message]
            return False
        return True

    try:
        await wait_until(
            is_taken,
            what=f"version {to.build_id} of the worker deployment {to.deployment} is routed to",
            deadline_seconds=deadline_seconds,
            interval_seconds=_INTERVAL_SECONDS,
        )
    except DeadlineExceededError as error:
        why = f" The server says: {told[0]}." if told else ""
        raise DeadlineExceededError(
            f"{error}{why} A worker of that version has to poll as such: see that it reads "
            "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID."
        ) from None
    await _until_known(client, to, deadline_seconds)


async def _ask(client: Client, to: Route) -> None:
    if to.percent is None:
        await client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=client.namespace,
                deployment_name=to.deployment,
                build_id=to.build_id,
                identity=IDENTITY,
            ),
            timeout=_PATIENCE,
        )
    else:
        await client.workflow_service.set_worker_deployment_ramping_version(
            SetWorkerDeploymentRampingVersionRequest(
                namespace=client.namespace,
                deployment_name=to.deployment,
                build_id=to.build_id,
                percentage=to.percent,
                identity=IDENTITY,
            ),
            timeout=_PATIENCE,
        )


async def _until_known(client: Client, to: Route, deadline_seconds: float) -> None:
    """Wait until the task queue of the workflows has the change, or the server says that all have:
    of some it says so late, or never.
    """
    deployment = DescribeWorkerDeploymentRequest(
        namespace=client.namespace, deployment_name=to.deployment
    )
    queue = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=to.task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    service = client.workflow_service

    async def is_known() -> bool:
        try:
            found = await service.describe_worker_deployment(deployment, timeout=_PATIENCE)
            if found.worker_deployment_info.routing_config_update_state == _DONE:
                return True
            known = (await service.describe_task_queue(queue, timeout=_PATIENCE)).versioning_info
        except RPCError:
            return False
        is_current = to.percent is None
        version = (
            known.current_deployment_version if is_current else known.ramping_deployment_version
        )
        return bool((version.deployment_name, version.build_id) == (to.deployment, to.build_id))

    await wait_until(
        is_known,
        what=f"the task queue {to.task_queue} knows the new routing of {to.deployment}",
        deadline_seconds=deadline_seconds,
        interval_seconds=_INTERVAL_SECONDS,
    )
