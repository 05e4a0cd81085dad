"""What the histories tell of an outage."""

from __future__ import annotations

from datetime import timedelta

import pytest

from benchmarks.restart import Outage, outage_of
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Event


def test_work_goes_on_with_the_first_activity_that_is_done_after_the_kill(
    server_restart: Evidence,
) -> None:
    (workflow,) = server_restart.workflows.values()
    kill = server_restart.first_entry(Event.FAULT)
    assert kill is not None
    assert workflow.closed_at is not None

    found = outage_of([workflow], kill.at, kill.at + timedelta(seconds=4))

    awaited = next(a for a in workflow.activities if a.kind == "await_video")
    assert awaited.closed_at is not None
    assert found == Outage(
        answers=4.0,
        first=(awaited.closed_at - kill.at).total_seconds(),
        all_done=(workflow.closed_at - kill.at).total_seconds(),
    )


def test_a_workflow_that_has_not_completed_is_no_figure(server_restart: Evidence) -> None:
    (workflow,) = server_restart.workflows.values()
    run = workflow.runs[-1]
    half = Workflow(workflow.workflow_id, (type(run)(run.workflow_id, run.events[:-1]),))

    with pytest.raises(RuntimeError, match="not completed"):
        outage_of([half], workflow.started_at, workflow.started_at)
