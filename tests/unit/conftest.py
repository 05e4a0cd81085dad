"""Evidence of a real run, and ways to break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from tests.chaos.video.evidence import VideoEvidence
from tests.unit.kept import kept

E = TypeVar("E", bound=Evidence)

Edit = Callable[[History], None]


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test writes does not belong on the page of the job that runs it."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def worker_crash() -> VideoEvidence:
    return kept("worker_crash", "sigkill_twice")


@pytest.fixture
def retry_config() -> VideoEvidence:
    return kept("retry_config", "policy_and_behaviour")


@pytest.fixture
def server_restart() -> VideoEvidence:
    return kept("server_restart", "sigkill")


@pytest.fixture
def each_role() -> VideoEvidence:
    return kept("server_restart", "each_role")


@pytest.fixture
def control() -> VideoEvidence:
    return kept("server_restart", "control_in_memory")


@pytest.fixture
def checkpoint() -> VideoEvidence:
    return kept("checkpoint", "sigkill_after_video_1")


@pytest.fixture
def concurrency() -> VideoEvidence:
    return kept("concurrency", "one_worker")


@pytest.fixture
def with_history() -> Callable[[E, str, Edit], E]:
    """The evidence with one workflow's last run changed by `edit`."""

    def change(evidence: E, workflow_id: str, edit: Edit) -> E:
        workflow = evidence.workflows[workflow_id]
        history = History()
        history.events.extend(workflow.runs[-1].events)
        edit(history)
        run = WorkflowHistory(workflow_id, list(history.events))
        changed = Workflow(workflow_id, (*workflow.runs[:-1], run))
        return replace(evidence, workflows={**evidence.workflows, workflow_id: changed})

    return change
