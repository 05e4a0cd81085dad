"""A dev server is given other settings while a case runs."""

from __future__ import annotations

from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.server import TemporalServer
from chaos.environment.temporal import NAMESPACE
from chaos.process.reaper import Reaper
from tests.integration.wire.bed import bed_in, start_server

LIMIT = {"frontend.namespaceRPS": "1"}


ASKED = DescribeWorkflowExecutionRequest(
    namespace=NAMESPACE, execution=WorkflowExecution(workflow_id="kept")
)


async def _is_limited(server: TemporalServer) -> bool:
    """Whether some of ten calls of one moment are refused. Any other refusal is raised, such as
    that the workflow is not there.
    """
    service = (await server.connect()).workflow_service
    for _ in range(10):
        try:
            await service.describe_workflow_execution(ASKED)
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
            return True
    return False


async def test_it_takes_settings_and_gives_them_back_and_keeps_its_workflows(
    reaper: Reaper, temporal_cli: Path, tmp_path: Path
) -> None:
    async with bed_in(tmp_path, reaper.run_tag) as bed:
        server = await start_server(bed, temporal_cli, persistent=True)
        client = await server.connect()
        await client.start_workflow("Any", id="kept", task_queue="nobodys")
        plain = tuple(server.child.argv)
        assert not await _is_limited(server)

        await server.configure(LIMIT)
        assert await _is_limited(server)
        await server.configure({})

        assert tuple(server.child.argv) == plain
        assert not await _is_limited(server)
