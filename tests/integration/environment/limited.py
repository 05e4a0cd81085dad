"""Whether a namespace is limited to one call a second."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

LIMIT = {"frontend.namespaceRPS": "1"}
"""A setting that the frontend alone reads: a cluster's other roles read theirs once a minute."""


async def is_limited(client: Client, workflow_id: str) -> bool:
    """Whether some of ten calls of one moment are refused. Any other refusal is raised, such as
    that the workflow is not there.
    """
    asked = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
    )
    for _ in range(10):
        try:
            await client.workflow_service.describe_workflow_execution(asked)
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
            return True
    return False
