"""By when work has to go on: all that was in the call's hands has to be due again."""

from __future__ import annotations

import pytest

from chaos.search.probe.judging import bound_seconds
from chaos.wire.boundary import Boundary
from chaos.wire.journal import Polled
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
    assert _bound(places) == (None if due is None else due + HANDOVER)


@pytest.mark.parametrize(("polls", "due"), [((0.5, 21.0, 60.0), 20.0), ((0.5,), TASK)])
def test_nothing_goes_on_before_another_worker_polls(polls: tuple[float, ...], due: float) -> None:
    assert _bound(["workflow_task Order completed"], *polls) == due + HANDOVER


def _bound(places: list[str], *polls: float) -> float | None:
    """After a disturbance in second 1."""
    made = charged()
    started = made.events[0].workflow_execution_started_event_attributes
    started.workflow_task_timeout.FromSeconds(int(TASK))
    run = evidence(made)
    polled = [Polled(at=at(s), queue="orders", kind="workflow", identity="w") for s in polls]
    boundaries = [Boundary.parse(place) for place in places]
    return bound_seconds(run, {"worker-1": polled}, run.workflows[ORDER], boundaries, at(1))
