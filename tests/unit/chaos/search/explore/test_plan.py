"""A real run is a reference, unless it was disturbed, and what is chosen of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.history import Workflow
from chaos.search.crash.points import Action, Phase, PlanError
from chaos.search.explore.plan import Choice, Plan, Reference
from chaos.wire.boundary import Kind, Stage
from chaos.wire.journal import Called, WireRecords


def sample(plan: Plan, size: int, seed: int = 0) -> Plan:
    choice = Choice(specs=("single",), sample=size, seed=seed)
    return Plan.of(choice, plan.references)


def test_without_a_sample_all_is_chosen(plan: Plan) -> None:
    assert len(plan.hits) == len(plan.everything) == 64


def test_a_sample_has_one_of_each_kind_before_any_kind_has_two(plan: Plan) -> None:
    kinds = {each.point.kind for each in plan.everything}

    counted = Counter(each.point.kind for each in sample(plan, len(kinds)).hits)

    assert counted == Counter(kinds)


def test_the_seed_alone_decides(plan: Plan) -> None:
    assert sample(plan, 12, 1).chosen == sample(plan, 12, 1).chosen
    assert sample(plan, 12, 1).chosen != sample(plan, 12, 2).chosen


def test_a_sample_may_be_larger_than_all(plan: Plan) -> None:
    assert len(sample(plan, 1000).hits) == 64


def test_what_is_handed_over_cannot_be_dropped(plan: Plan) -> None:
    choice = Choice(specs=("single",), action=Action.DROP)
    dropped = Plan.of(choice, plan.references).hits

    assert {each.action for each in dropped} == {Action.DROP}
    assert len(dropped) == 64 - sum(
        each.point.phase is Phase.HANDED_OVER for each in plan.everything
    )
    assert not any(each.point.boundary.stage is Stage.DELIVERED for each in dropped)


def test_a_run_that_nobody_disturbed_is_a_reference(
    workflow: Workflow, records: WireRecords
) -> None:
    found = Reference.of("single", workflow, records)

    assert found.attempts["start_video"] == 1
    assert len(found.stops) == 64


def test_a_workflow_task_that_timed_out_is_a_disturbance(
    workflow: Workflow, records: WireRecords
) -> None:
    late = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
    history = WorkflowHistory(workflow.workflow_id, [late, *workflow.events])

    with pytest.raises(PlanError, match="and the wire do not agree"):
        Reference.of("single", replace(workflow, runs=(history,)), records)


@pytest.mark.parametrize(
    ("kind", "stage"),
    [(Kind.WORKFLOW_TASK, Stage.COMPLETED), (Kind.ACTIVITY, Stage.ASSIGNED)],
)
def test_what_did_not_pass_on_the_wire_was_done_by_another(
    kind: Kind, stage: Stage, workflow: Workflow, records: WireRecords
) -> None:
    def is_hidden(record: object) -> bool:
        return isinstance(record, Called) and any(
            (c.boundary.kind, c.boundary.stage, c.boundary.ordinal) == (kind, stage, 1)
            for c in record.crossings
        )

    fewer = {line: [r for r in of if not is_hidden(r)] for line, of in records.items()}

    with pytest.raises(PlanError, match="are there workers beside the target's own"):
        Reference.of("single", workflow, fewer)
