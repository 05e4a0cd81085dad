"""What a campaign waits for, as the server sees it: how far each open case is, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecutionDescription
from temporalio.converter import DataConverter

from chaos.search.campaign import names
from chaos.search.campaign.beat import beat_of
from chaos.search.campaign.model import Stage

_STEPS = {
    names.PLAN: "making the plan",
    names.CHOOSE: "choosing cases",
    names.FINISH: "writing the summary",
}
"""What is no case."""

_RUNS = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@dataclass(frozen=True)
class Pending:
    """A case, or a step of the campaign itself, that a machine has begun. `stage` is None where it
    does not run now; `failure` is that of the attempt before.
    """

    name: str
    attempt: int
    stage: Stage | None
    machine: str
    failure: str


async def pending_of(
    described: WorkflowExecutionDescription, converter: DataConverter
) -> list[Pending]:
    """All that were begun; what waits for its first machine is not among them."""
    found = []
    for each in described.raw_description.pending_activities:
        if each.state != _RUNS and each.attempt == 1:
            continue
        beat = beat_of(await converter.decode(each.heartbeat_details.payloads))
        kind = each.activity_type.name
        is_case = kind == names.CASE
        found.append(
            Pending(
                name=each.activity_id if is_case else _STEPS.get(kind, kind),
                attempt=each.attempt,
                stage=beat.stage if beat and each.state == _RUNS else None,
                machine=beat.machine if beat else "",
                failure=each.last_failure.message,
            )
        )
    return sorted(found, key=lambda each: each.name)


def pending_lines(pending: list[Pending]) -> Iterator[str]:
    """A line for each."""
    for each in pending:
        what = each.stage or ("running" if each.attempt == 1 else "to be tried again")
        where = f" on {each.machine}" if each.machine and each.stage else ""
        again = f", attempt {each.attempt}" if each.attempt > 1 else ""
        because = f" ({each.failure})" if each.failure else ""
        yield f"  {each.name}: {what}{where}{again}{because}"
