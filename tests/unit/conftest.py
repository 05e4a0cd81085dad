"""Evidence of a real run, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow

EVIDENCE = Path(__file__).parents[1] / "data" / "evidence"

Edit = Callable[[History], None]


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test writes does not belong on the page of the job that runs it."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def worker_crash() -> Evidence:
    return Evidence.load(EVIDENCE / "worker_crash" / "sigkill_twice")


@pytest.fixture
def retry_config() -> Evidence:
    return Evidence.load(EVIDENCE / "retry_config" / "policy_and_behaviour")


@pytest.fixture
def server_restart() -> Evidence:
    return Evidence.load(EVIDENCE / "server_restart" / "sigkill")


@pytest.fixture
def each_role() -> Evidence:
    return Evidence.load(EVIDENCE / "server_restart" / "each_role")


@pytest.fixture
def control() -> Evidence:
    return Evidence.load(EVIDENCE / "server_restart" / "control_in_memory")


@pytest.fixture
def checkpoint() -> Evidence:
    return Evidence.load(EVIDENCE / "checkpoint" / "sigkill_after_video_1")


@pytest.fixture
def concurrency() -> Evidence:
    return Evidence.load(EVIDENCE / "concurrency" / "one_worker")


@pytest.fixture
def with_history() -> Callable[[Evidence, str, Edit], Evidence]:
    """The evidence with one workflow's last run changed by `edit`."""

    def change(evidence: Evidence, workflow_id: str, edit: Edit) -> Evidence:
        workflow = evidence.workflows[workflow_id]
        history = History()
        history.events.extend(workflow.runs[-1].events)
        edit(history)
        run = WorkflowHistory(workflow_id, list(history.events))
        changed = Workflow(workflow_id, (*workflow.runs[:-1], run))
        return replace(evidence, workflows={**evidence.workflows, workflow_id: changed})

    return change
