"""The workflows of a schedule, and what they must come to whatever the dice say."""

from __future__ import annotations

from chaos.evidence.case import Expectation
from chaos.search.schedule import Order, Schedule
from tests.chaos.video import workload


def asked_by(order: Order) -> Expectation:
    """It completes. Any of its calls may be cut off in flight; which, nobody can say before."""
    name = order.workflow_id
    plain = workload.series(name, order.videos) if order.videos else workload.single(name)
    return plain.model_copy(update={"may_be_billed_twice": plain.prompts})


def load_of(schedule: Schedule) -> tuple[Expectation, ...]:
    """All of them, in the order in which they start."""
    return tuple(asked_by(order) for order in schedule.orders)
