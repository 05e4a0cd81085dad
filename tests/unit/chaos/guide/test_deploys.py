"""When a deploy stops a worker: with much history behind an open workflow, and enough ahead."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowHistory

from chaos.guide.deploys import events_before_its_last_long_activity
from tests.unit.chaos.guide.made import activity
from tests.unit.chaos.made_history import Made


@pytest.mark.parametrize(
    ("seconds", "events"),
    [
        ((), 0),
        ((1.0, 1.0), 5),  # the start, three of the first, and the second is scheduled
        ((4.0, 0.5), 2),  # the second one has ended before a slow machine has stopped a worker
        ((4.0, 0.5, 1.0), 8),
    ],
)
def test_the_last_long_activity_is_waited_for(seconds: tuple[float, ...], events: int) -> None:
    made = Made()
    for number, took in enumerate(seconds, start=1):
        activity(made, 10 * number, 10 * number, 10 * number + took)

    assert events_before_its_last_long_activity(WorkflowHistory("order", made.events)) == events
