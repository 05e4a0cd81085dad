"""By when work has to go on: all that was in the call's hands has to be due again."""

from __future__ import annotations

import pytest

from chaos.search.probe.bounds import bound_seconds
from chaos.wire.boundary import Boundary
from tests.unit.chaos.made_history import at
from tests.unit.chaos.search.probe.made_runs import ORDER, charged, evidence

HANDOVER = 12.0
TASK, ACTIVITY = 10.0, 45.0


@pytest.mark.parametrize(
    ("places", "due"),
    [
        (["workflow_task Order completed"], TASK),
        (["activity charge_card assigned"], ACTIVITY),
        (["workflow_task Order completed", "activity charge_card assigned"], ACTIVITY),
        (["workflow_task Order completed", "activity never_seen assigned"], TASK),
        (["activity never_seen assigned"], None),
    ],
)
def test_of_a_call_at_several_boundaries_the_last_that_is_due_counts(
    places: list[str], due: float | None
) -> None:
    made = charged()
    started = made.events[0].workflow_execution_started_event_attributes
    started.workflow_task_timeout.FromSeconds(int(TASK))
    run = evidence(made)
    boundaries = [Boundary.parse(place) for place in places]
    bound = bound_seconds(run, run.workflows[ORDER], boundaries, at(1))

    assert bound == (None if due is None else due + HANDOVER)
