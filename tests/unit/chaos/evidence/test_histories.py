from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.histories import HISTORIES, load_histories, save_histories
from tests.unit.kept import EVIDENCE

WITH_A_CHILD = EVIDENCE.parent / "false_passes" / "worker_dies_with_a_child"


def test_workflows_are_read_in_the_same_order_everywhere() -> None:
    found = load_histories(EVIDENCE / "concurrency" / "one_worker" / HISTORIES, "")

    assert list(found) == [f"load-{number:03}" for number in range(1, 6)]


class _Server:
    """It has the histories of a workflow and of what that started."""

    def __init__(self, *runs: WorkflowHistory) -> None:
        self._runs = {str(_started(run).original_execution_run_id): run for run in runs}
        self._latest = {run.workflow_id: run for run in runs}

    def get_workflow_handle(self, workflow_id: str, run_id: str | None = None) -> _Handle:
        return _Handle(self._runs[run_id] if run_id else self._latest[workflow_id])


@dataclass(frozen=True)
class _Handle:
    run: WorkflowHistory

    async def fetch_history(self) -> WorkflowHistory:
        return self.run


def _started(run: WorkflowHistory) -> WorkflowExecutionStartedEventAttributes:
    return run.events[0].workflow_execution_started_event_attributes


async def test_what_a_workflow_started_itself_is_fetched_as_well(tmp_path: Path) -> None:
    saved = Evidence.load(WITH_A_CHILD)
    (child,) = saved.children
    server = _Server(*saved.workflows["parent"].runs, *child.runs)

    await save_histories(cast("Client", server), tmp_path, ["parent"])

    (file,) = (tmp_path / "children").iterdir()
    assert file.name == next((WITH_A_CHILD / "children").iterdir()).name
    assert child.workflow_id not in file.name
    assert [activity.kind for activity in child.activities] == ["slow"]
    assert [workflow.workflow_id for workflow in saved.all_workflows] == [
        "parent",
        child.workflow_id,
    ]
