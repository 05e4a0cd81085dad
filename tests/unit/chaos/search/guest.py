"""Two targets that know no videos: nothing is ever started of them."""

from __future__ import annotations

import random
from dataclasses import replace

from chaos.environment.target import Service, Target
from chaos.evidence.spec import WorkflowSpec
from chaos.faults import Fault, ServiceDown


def order(workflow_id: str) -> WorkflowSpec:
    return WorkflowSpec(workflow_id=workflow_id, workflow_type="Order")


def large_order(workflow_id: str) -> WorkflowSpec:
    return WorkflowSpec(workflow_id=workflow_id, workflow_type="Order", arguments=(9,))


def refuse(dice: random.Random, spec: WorkflowSpec) -> Fault:
    """Stands for a fault that only a target knows: it is told which workflow to meet."""
    return ServiceDown(service=f"{dice.choice(('payments', 'carrier'))} for {spec.workflow_id}")


PLAIN = Target(
    worker=("orders-worker",),
    task_queue="orders",
    specs={"order": order, "large_order": large_order},
)
"""Without services, a supervisor, or faults of its own."""

GUEST = replace(
    PLAIN,
    services=(
        Service("payments", ("payments",), "PAYMENTS_URL", may_die=True),
        Service("carrier", ("carrier",), "CARRIER_URL"),
    ),
    draws={"refusal": refuse},
)
SUPERVISED = replace(GUEST, supervisor=("orders-supervisor",))
