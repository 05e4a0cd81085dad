"""The workflows of a schedule, as its target knows them."""

from __future__ import annotations

from chaos.environment.target import Target
from chaos.evidence.spec import WorkflowSpec
from chaos.search.schedule import PlannedStart, Schedule, ScheduleError


def spec_of(start: PlannedStart, target: Target) -> WorkflowSpec:
    """What a workflow is asked for. Raises ScheduleError where the target does not know it."""
    make = target.specs.get(target.former_specs.get(start.spec, start.spec))
    if make is None:
        known = ", ".join(target.specs) or "none"
        raise ScheduleError(
            f"the schedule starts {start.workflow_id} as {start.spec!r}, and the target's specs "
            f"are {known}: replay it in the project whose run it is of."
        )
    return make(start.workflow_id)


def load_of(schedule: Schedule, target: Target) -> tuple[WorkflowSpec, ...]:
    """All of them, in the order in which they start. Raises ScheduleError."""
    return tuple(spec_of(start, target) for start in schedule.starts)
