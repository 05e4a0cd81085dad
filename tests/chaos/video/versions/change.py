"""The change of the next release: an operation that the budget cannot pay to its end is not begun.

Today the budget is looked at before each paid request, so a series may end halfway. The change is
behind `workflow.patched`, so that an operation that an older build began goes on as it began.

The check is a local activity, which runs in the worker that has the workflow task. A rollout has
workers of both builds, and an old one that is given an activity that it does not know fails it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from workflows import activities, policies
from workflows.models import CHARACTER, OperationOrder, video_step
from workflows.operation import VideoOperation
from workflows.payments.calls import outcome_of
from workflows.payments.journal import BudgetExceededError, JournalError

_CHECKING = "checks-the-budget-before-it-begins"
"""The patch from which on an operation is not begun that its budget cannot pay to its end."""

_CHECK_TIMEOUT = timedelta(seconds=10)
"""A read of the payment journal, within one workflow task's time."""

logger = logging.getLogger("workflows.activities")


class VideoActivities(activities.VideoActivities):
    """Those of today, and the check."""

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers."""
        return (*super().all, self.check_budget)

    @activity.defn
    async def check_budget(self, order: OperationOrder) -> None:
        """Fail where what an operation still has to buy is more than what is left (free)."""
        budget = self.settings.budget_usd
        if budget is None:
            return
        journal = self.paid_calls.journal
        try:
            calls = await asyncio.to_thread(journal.calls, order.operation_id)
            left = budget - await asyncio.to_thread(journal.billable_usd)
        except JournalError as error:
            # The first paid step waits for it; nothing is paid for without it.
            logger.warning("the budget of %s is not checked: %s", order.operation_id, error)
            return
        prices = dict.fromkeys(order.prompts, self.settings.video_cost_usd())
        prices[CHARACTER] = self.settings.image_cost_usd()
        to_buy = [
            price
            for step, price in prices.items()
            if outcome_of([call for call in calls if call.step == step]) is None
        ]
        if sum(to_buy) > left:
            raise ApplicationError(
                f"it would cost ${sum(to_buy)} to its end, and of the budget of ${budget} only "
                f"${left} is left; nothing was sent. Raise the budget, then start it again.",
                type=BudgetExceededError.__name__,
                non_retryable=True,
            )


class ChecksTheBudget(VideoOperation):
    """The change, which both workflows share."""

    async def _open(self, character_prompt: str, video_prompts: Sequence[str]) -> None:
        await super()._open(character_prompt, video_prompts)
        if self._is_checked():
            await self._step("the budget", self._check(character_prompt, video_prompts))

    def _is_checked(self) -> bool:
        return workflow.patched(_CHECKING)

    async def _check(self, character_prompt: str, video_prompts: Sequence[str]) -> None:
        wanted = {video_step(n): prompt for n, prompt in enumerate(video_prompts, start=1)}
        order = OperationOrder(
            operation_id=self._state.operation_id, prompts={CHARACTER: character_prompt, **wanted}
        )
        await workflow.execute_local_activity(
            "check_budget",
            order,
            start_to_close_timeout=_CHECK_TIMEOUT,
            retry_policy=policies.RETRY_POLICY,
        )


def plant_the_mistake() -> None:
    """The change for all operations of this process, those that an older build began too."""
    ChecksTheBudget._is_checked = lambda self: True  # type: ignore[method-assign]  # noqa: ARG005
