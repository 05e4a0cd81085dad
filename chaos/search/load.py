"""The workflows of a schedule, and what they must come to whatever the dice say."""

from __future__ import annotations

from chaos.evidence.spec import WorkflowSpec
from chaos.search.schedule import Order, Schedule
from tests.chaos.video import specs


def asked_by(order: Order) -> WorkflowSpec:
    """It completes. Any of its calls may be cut off in flight; which, nobody can say before."""
    name = order.workflow_id
    plain = specs.series(name, order.videos) if order.videos else specs.single(name)
    return plain.model_copy(update={"may_be_charged_twice": plain.prompts})


def load_of(schedule: Schedule) -> tuple[WorkflowSpec, ...]:
    """All of them, in the order in which they start."""
    return tuple(asked_by(order) for order in schedule.orders)
