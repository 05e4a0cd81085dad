"""Worker Versioning as these tests use it: the settings of a build, and which one is current."""

from __future__ import annotations

from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.service import RPCError

from chaos.process.waiting import wait_until
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench

DEPLOYMENT = "video"


def version(build: str) -> dict[str, str]:
    """Settings of a worker of a build."""
    return {"TEMPORAL_DEPLOYMENT_NAME": DEPLOYMENT, "TEMPORAL_WORKER_BUILD_ID": build}


async def make_current(bench: Bench, build: str) -> None:
    """Route to a build, once the server has heard of it, until all task queues know."""
    client = bench.lab.client
    service, namespace = client.workflow_service, client.namespace
    told = SetWorkerDeploymentCurrentVersionRequest(
        namespace=namespace, deployment_name=DEPLOYMENT, build_id=build
    )
    asked = DescribeWorkerDeploymentRequest(namespace=namespace, deployment_name=DEPLOYMENT)

    async def is_current() -> bool:
        try:
            await service.set_worker_deployment_current_version(told)
            info = (await service.describe_worker_deployment(asked)).worker_deployment_info
        except RPCError:
            return False
        # The queues learn of it one after the other, after the answer.
        under_way = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
        return info.routing_config_update_state != under_way

    await wait_until(
        is_current, what=f"build {build} is current", deadline_seconds=DEADLINE_SECONDS
    )
