"""The workflows that a Temporal Schedule starts, found at the end of the experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.spec import WorkflowSpec
from chaos.process.waiting import wait_until

_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True)
class FollowedSchedule:
    """A schedule that starts workflows, and the spec of each of them."""

    schedule_id: str
    spec: Callable[[str], WorkflowSpec]
    at_least: int

    async def stop(self, client: Client, deadline_seconds: float) -> Sequence[str]:
        """Pause it, and return the ids of the workflows that it has started by then. Raises
        DeadlineExceededError if they are not listed in time: an index that lags must not hide
        one.
        """
        found: list[str] = []

        async def all_are_listed() -> bool:
            handle = client.get_schedule_handle(self.schedule_id)
            try:
                await handle.pause(note="the experiment is over", rpc_timeout=_PATIENCE)
                described = await handle.describe(rpc_timeout=_PATIENCE)
                query = f"TemporalScheduledById = '{self.schedule_id}'"
                ids = [each.id async for each in client.list_workflows(query)]
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise
                return False
            found[:] = sorted(set(ids))
            return described.schedule.state.paused and len(found) >= described.info.num_actions

        await wait_until(
            all_are_listed,
            what=f"the server lists all workflows that the schedule {self.schedule_id} started",
            deadline_seconds=deadline_seconds,
            interval_seconds=0.2,
        )
        return found

    async def delete(self, client: Client) -> None:
        """Delete it, unless it is already deleted."""
        try:
            await client.get_schedule_handle(self.schedule_id).delete(rpc_timeout=_PATIENCE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    def specs(self, workflow_ids: Sequence[str]) -> Sequence[WorkflowSpec]:
        """A spec for each workflow, and for each missing one, which will count as lost."""
        missing = range(len(workflow_ids) + 1, self.at_least + 1)
        lost = [f"{self.schedule_id}: run {n} of at least {self.at_least}" for n in missing]
        return [self.spec(each) for each in (*workflow_ids, *lost)]
