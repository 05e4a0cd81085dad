"""When a fault of the guide may begin, by what the server says of the workflows."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import WorkflowExecutionStatus

from chaos.experiment.lab import EndedEarlyError, Lab
from chaos.guide import load as loads
from chaos.guide.load import load, until_at_work
from chaos.process.waiting import DeadlineExceededError
from tests.unit.chaos.guide.test_headings import ABLE


@dataclass
class Told:
    """A lab whose server always says the same of each workflow."""

    raw: DescribeWorkflowExecutionResponse
    status: WorkflowExecutionStatus = WorkflowExecutionStatus.RUNNING
    step_deadline_seconds: float = 0.3
    notes: list[str] = field(default_factory=list)

    def handle(self, workflow_id: str) -> Told:
        del workflow_id
        return self

    async def describe(self, **options: Any) -> SimpleNamespace:
        del options
        return SimpleNamespace(status=self.status, raw_description=self.raw)

    def note(self, text: str) -> None:
        self.notes.append(text)

    async def wait(self) -> None:
        await until_at_work(cast("Lab", self), load(ABLE, 2))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "ACTIVITY_SECONDS", 0.3)
    monkeypatch.setattr(loads, "IDLE_SECONDS", 0.1)


async def test_workflows_that_only_wait_are_hit_while_they_do() -> None:
    told = Told(DescribeWorkflowExecutionResponse())
    await told.wait()

    assert told.notes == ["the workflows only wait: their state at a worker is all that can be hit"]


async def test_an_activity_at_a_worker_is_what_is_waited_for() -> None:
    told = Told(DescribeWorkflowExecutionResponse())
    told.raw.pending_activities.add(state=PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    await told.wait()

    assert told.notes == []


@pytest.mark.parametrize("what", ["pending_activities", "pending_children", "task"])
async def test_one_whose_work_nobody_has_yet_does_not_only_wait(what: str) -> None:
    told = Told(DescribeWorkflowExecutionResponse())
    if what == "task":
        told.raw.pending_workflow_task.attempt = 1
    else:
        getattr(told.raw, what).add()

    with pytest.raises(DeadlineExceededError):
        await told.wait()


async def test_workflows_that_have_all_ended_are_told() -> None:
    told = Told(DescribeWorkflowExecutionResponse(), WorkflowExecutionStatus.COMPLETED)

    with pytest.raises(EndedEarlyError):
        await told.wait()
