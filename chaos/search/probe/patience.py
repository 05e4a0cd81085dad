"""Waits for the end of a disturbed workflow, and no longer than that can tell anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.service import RPCError

from chaos.evidence.history import Workflow
from chaos.evidence.pending import pending_of
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.process.waiting import wait_until
from chaos.search.probe.waiting import outlasts, waits

_LOOK_SECONDS = 1.0
_LOOKS = 2
"""In how many looks, one after the other, a workflow has to wait for the same: it may go on."""

_ASK_SECONDS = 0.1


@dataclass(frozen=True)
class Patience:
    """`seconds` are those that it may stand still; beyond what it takes undisturbed."""

    seconds: float
    undisturbed_seconds: float

    @property
    def longest_wait_seconds(self) -> float:
        """What is certain to take longer is given up: its own timers run undisturbed as well."""
        return self.seconds + self.undisturbed_seconds

    async def wait(self, lab: Lab, spec: WorkflowSpec) -> None:
        """Until it ends, or is certain to stand still for longer. Raises DeadlineExceededError."""
        look = _Look(lab, spec, datetime.now(UTC), self.longest_wait_seconds)
        await wait_until(
            look.is_over,
            what=f"{spec.workflow_id} ends",
            deadline_seconds=self.seconds + 2 * self.undisturbed_seconds,
            interval_seconds=_ASK_SECONDS,
        )


@dataclass
class _Look:
    """Asks the server. `since` is when the workflow was disturbed, or a moment later."""

    lab: Lab
    spec: WorkflowSpec
    since: datetime
    patience_seconds: float
    _looked_at: datetime | None = None
    _found: int = 0

    async def is_over(self) -> bool:
        if await self.lab.has_ended(self.spec.workflow_id):
            return True
        now = datetime.now(UTC)
        if (now - (self._looked_at or self.since)).total_seconds() >= _LOOK_SECONDS:
            self._looked_at = now
            self._found = self._found + 1 if await self._stands_still() else 0
        return self._found >= _LOOKS

    async def _stands_still(self) -> bool:
        handle = self.lab.handle(self.spec.workflow_id)
        try:
            pending = await pending_of(self.lab.client, handle.id)
            workflow = Workflow(handle.id, [await handle.fetch_history()], pending=pending)
        except RPCError:
            return False
        return outlasts(waits(workflow, self.since), self.patience_seconds) is not None
