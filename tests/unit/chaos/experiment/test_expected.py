"""Workflows that somebody else starts, and those that should still run at the end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.history import Status
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment import ends
from chaos.experiment.lab import Lab, Options
from chaos.experiment.schedules import FollowedSchedule
from chaos.process.waiting import DeadlineExceededError


class Server:
    """It has some workflows, all of them open; those of `busy` have a task to do."""

    def __init__(self, *there: str, busy: str = "") -> None:
        self.there, self.busy = set(there), busy
        self.asked: list[str] = []

    def get_workflow_handle(self, workflow_id: str) -> Any:
        async def describe(*, rpc_timeout: timedelta) -> Any:
            assert rpc_timeout
            self.asked.append(workflow_id)
            if workflow_id not in self.there:
                raise RPCError("not found", RPCStatusCode.NOT_FOUND, b"")
            raw = DescribeWorkflowExecutionResponse()
            if workflow_id == self.busy:
                raw.pending_workflow_task.attempt = 1
            return SimpleNamespace(status=WorkflowExecutionStatus.RUNNING, raw_description=raw)

        return SimpleNamespace(describe=describe)


def _spec(workflow_id: str, status: Status = Status.COMPLETED) -> WorkflowSpec:
    return WorkflowSpec(workflow_id=workflow_id, workflow_type="Order", status=status)


@pytest.fixture
def server() -> Server:
    return Server("watch")


@pytest.fixture
def lab(tmp_path: Path, server: Server) -> Lab:
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    journal.close()  # nothing is read of it
    stack: Any = SimpleNamespace(
        client=server, temporal=SimpleNamespace(prefix=""), own=lambda workflow_id: workflow_id
    )
    return Lab(stack, journal, Options())


async def test_what_is_not_there_is_lost_unless_somebody_else_may_yet_start_it(lab: Lab) -> None:
    lab.specs.append(_spec("mine"))
    lab.expect(_spec("child"))
    lab.expect(_spec("child"))

    assert [spec.workflow_id for spec in lab.specs] == ["mine", "child"]
    assert await lab.has_ended("mine")
    assert not await lab.has_ended("child")


async def test_what_should_still_run_is_not_waited_for(lab: Lab, server: Server) -> None:
    lab.specs.append(_spec("watch", Status.RUNNING))

    await lab.converge(60)

    assert server.asked == ["watch"]


async def test_its_own_task_is_waited_for_a_while(
    lab: Lab, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "SETTLE_SECONDS", 0.2)
    lab.specs.append(_spec("watch", Status.RUNNING))
    server.busy = "watch"

    with pytest.raises(DeadlineExceededError, match="watch has no workflow task to do"):
        await lab.converge(60)


def test_of_a_schedule_each_workflow_is_expected_and_each_that_is_missing() -> None:
    schedule = FollowedSchedule("nightly", _spec, at_least=3)

    assert [spec.workflow_id for spec in schedule.specs(["report-1", "report-2"])] == [
        "report-1",
        "report-2",
        "nightly: run 3 of at least 3",
    ]
    assert len(schedule.specs(["a", "b", "c", "d"])) == 4
