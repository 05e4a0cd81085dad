"""A campaign as a workflow: it plans, chooses cases, hands them out, and ends with what they were
found to be. All that it does is wait for activities, which the machines carry out.

A case is handed out to whatever machine takes it first. Twice as many are open as the machines can
run at once, so that none waits for the next turn. A machine that dies is noticed by its missing
heartbeats, and its cases are run again. Before its history becomes too long the workflow lets the
open cases end, and continues as new.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any

from temporalio import exceptions, workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import ActivityCancellationType

from chaos.search.campaign import names
from chaos.search.campaign.account import MOST_TOLD, Account
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRef,
    Ended,
    Explore,
    Judged,
    Never,
    Probe,
    Progress,
    State,
    Turn,
)

STOPPED = "it was stopped"
CANCELLED = "it was cancelled"
TIME_IS_UP = "its minutes are over"
HOPELESS = "no machine could judge too many of its cases"
NO_MORE = "nothing more could be chosen"
BROKEN = "CampaignBroken"
"""The type of the error of a campaign that cannot go on; its message is the sentence."""

_EVENTS_OF_A_CASE = 6
_CASES_FOR_EACH = 20
"""Of the cases that may be open at once, so many times are run before the workflow continues as
new: before that all end, and the machines idle for half a case.
"""

_FIRST = Priority(priority_key=1)
"""A failure that is being shrunk is what somebody waits for; other cases are many."""

_SHORT = timedelta(minutes=10)
_PATIENT = RetryPolicy(maximum_interval=timedelta(seconds=30), maximum_attempts=100)
"""Of an activity that the shared place may keep waiting, for most of an hour."""


class Step(Enum):
    """What the workflow does next."""

    HAND_OUT = "hand out what came back"
    TURN = "ask for more cases"
    CONTINUE = "continue as new"
    END = "end"


def runner() -> SandboxedWorkflowRunner:
    """The sandbox of its workers. Its own modules are loaded once: they touch nothing."""
    restrictions = SandboxRestrictions.default
    return SandboxedWorkflowRunner(
        restrictions=restrictions.with_passthrough_modules(
            "chaos", "pydantic", "pydantic_core", "annotated_types"
        )
    )


@workflow.defn(name=names.WORKFLOW)
class CampaignWorkflow:
    """One campaign. Its id is the campaign's."""

    @workflow.init
    def __init__(self, campaign: Campaign, account: Account | None = None) -> None:
        self._campaign = campaign
        self._account = account or Account()
        self._open: dict[str, workflow.ActivityHandle[Judged]] = {}
        self._asked: workflow.ActivityHandle[Any] | None = None
        self._is_waiting = False  # the last turn gave nothing; the next verdict may
        self._is_over = False
        self._alarm: asyncio.Task[None] | None = None
        if self._account.began_at is None:
            now = workflow.now()
            self._account.began_at = self._account.running_since = now
            self._account.grant(campaign.minutes, now)

    @workflow.run
    async def run(self, campaign: Campaign, account: Account | None = None) -> Ended:  # noqa: ARG002 - `__init__` has them
        """Carry it out. A campaign that cannot go on fails, with a sentence."""
        self._set_alarm()
        if not self._account.is_planned:
            await self._plan()
        while (step := await self._next()) is not Step.END:
            if step is Step.CONTINUE:
                self._clear_alarm()
                workflow.continue_as_new(args=[self._campaign, self._account])
            elif step is Step.HAND_OUT:
                self._hand_out_again()
            else:
                await self._turn()
        return await self._finish()

    @workflow.signal(name=names.PAUSE)
    def pause(self) -> None:
        """Begin no case; those that run end."""
        self._account.pause(workflow.now())
        self._set_alarm()

    @workflow.signal(name=names.RESUME)
    def resume(self) -> None:
        """Go on."""
        self._account.resume(workflow.now())
        self._set_alarm()

    @workflow.signal(name=names.BUDGET)
    def budget(self, minutes: float | None) -> None:
        """Run for so many minutes from now on, or as long as it takes."""
        self._account.grant(minutes, workflow.now())
        self._set_alarm()

    @workflow.signal(name=names.STOP)
    def stop(self) -> None:
        """End at once; open cases are cancelled."""
        self._give_up(STOPPED)

    @workflow.query(name=names.PROGRESS)
    def progress(self, since: int = 0) -> Progress:
        """How far it is, with the verdicts after the first `since` ones."""
        return self._account.progress(workflow.now(), self.state(), len(self._open), since)

    @workflow.query(name=names.STATE)
    def state(self) -> State:
        """What it is doing."""
        return State.ENDED if self._is_over else self._account.state(workflow.now())

    async def _plan(self) -> None:
        if isinstance(self._campaign.work, Explore | Probe) and not self._account.why:
            total = await self._ask(
                names.PLAN,
                task_queue=self._cases_queue,
                result_type=int,
                heartbeat_timeout=self._heartbeat_timeout,
                start_to_close_timeout=timedelta(hours=self._account.limits.case_hours),
                retry_policy=self._of_machines,
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
            if total is not None:
                self._account.total = total
        self._account.is_planned = True

    async def _next(self) -> Step:
        """Wait until there is something to do."""
        while True:
            try:
                await workflow.wait_condition(lambda: self._step() is not None)
            except asyncio.CancelledError:
                self._give_up(CANCELLED)
            if step := self._step():
                return step

    def _step(self) -> Step | None:
        """What is to be done; None: wait."""
        account, now, is_idle = self._account, workflow.now(), not self._open
        is_done = account.is_last and not account.returned
        if account.why or is_done or account.is_up(now):
            return Step.END if is_idle else None
        if self._is_long:
            return self._step_to_continue() if is_idle else None
        if account.is_paused:
            return None
        if account.returned:
            return Step.HAND_OUT
        if self._is_waiting:
            return Step.END if is_idle else None
        is_wanted = not account.is_last and account.room(now, len(self._open))
        return Step.TURN if is_wanted else None

    def _step_to_continue(self) -> Step:
        """The next run's input would be too large with all verdicts that were not told."""
        return Step.TURN if len(self._account.untold) > MOST_TOLD else Step.CONTINUE

    @property
    def _is_long(self) -> bool:
        info, account = workflow.info(), self._account
        events, limits = info.get_current_history_length(), account.limits
        enough = _EVENTS_OF_A_CASE * _CASES_FOR_EACH * account.most_open(workflow.now())
        return (
            events >= limits.most_events
            or info.get_current_history_size() >= limits.most_bytes
            or (info.is_continue_as_new_suggested() and events >= enough)
        )

    async def _turn(self) -> None:
        """Tell what was judged, and hand out what is chosen."""
        account = self._account
        told = account.untold[:MOST_TOLD]
        most = 0 if self._is_long else account.room(workflow.now(), len(self._open))
        batch: Batch | None = await self._ask(
            names.CHOOSE,
            Turn(number=account.turns + 1, most=most, judged=tuple(told)),
            result_type=Batch,
            heartbeat_timeout=self._heartbeat_timeout,
            start_to_close_timeout=_SHORT,
            retry_policy=_PATIENT,
        )
        if batch is None:
            return
        account.turns += 1
        del account.untold[: len(told)]
        account.is_last = batch.is_last
        account.total = account.total if batch.total is None else batch.total
        self._is_waiting = bool(most) and not batch.cases and not account.untold
        for ref in batch.cases:
            self._hand_out(ref)

    def _hand_out_again(self) -> None:
        refs, self._account.returned = self._account.returned, []
        for ref in refs:
            self._hand_out(ref)

    def _hand_out(self, ref: CaseRef) -> None:
        """A case for whatever machine takes it. It may have been given up in between."""
        if self._account.why:
            self._account.never.append(Never(name=ref.name, reason=self._account.why))
            return
        if ref.name in self._open:
            return
        handle = workflow.start_activity(
            names.CASE,
            args=[self._campaign, ref],
            activity_id=ref.name,
            task_queue=self._cases_queue,
            result_type=Judged,
            heartbeat_timeout=self._heartbeat_timeout,
            start_to_close_timeout=timedelta(hours=self._account.limits.case_hours),
            retry_policy=self._of_machines,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=_FIRST if ref.kind is CaseKind.SHRINK else Priority.default,
        )
        self._open[ref.name] = handle
        handle.add_done_callback(partial(self._came_back, ref))

    def _came_back(self, ref: CaseRef, handle: asyncio.Task[Judged]) -> None:
        del self._open[ref.name]
        account, now = self._account, workflow.now()
        error = asyncio.CancelledError() if handle.cancelled() else handle.exception()
        if error is None:
            account.judge(handle.result(), now)
            self._is_waiting = False
        elif is_cancelled_exception(error):
            reason = account.why or "it was cancelled before it had a verdict"
            account.never.append(Never(name=ref.name, reason=reason))
        elif _is_not_begun(error):
            account.returned.append(ref)
        else:
            account.give_up(ref.name, _why(error, account.limits.attempts), now)
            self._is_waiting = False
            if account.is_hopeless:
                self._give_up(HOPELESS)

    async def _ask(self, activity: str, *arguments: Any, **options: Any) -> Any:
        """What an activity answers. None: the campaign ends, stopped or broken."""
        self._asked = workflow.start_activity(
            activity, args=[self._campaign, *arguments], **options
        )
        try:
            return await self._asked
        except (ActivityError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                self._give_up(self._account.why or CANCELLED)
            else:
                self._account.why = _why(error, self._account.limits.attempts)
                self._account.is_broken = True
            return None
        finally:
            self._asked = None

    def _give_up(self, why: str) -> None:
        """End, and cancel what is open."""
        self._account.why = self._account.why or why
        for handle in (*self._open.values(), *([self._asked] if self._asked else [])):
            handle.cancel()

    async def _finish(self) -> Ended:
        account, now = self._account, workflow.now()
        self._clear_alarm()
        if not account.why and (account.returned or not account.is_last):
            account.why = TIME_IS_UP if account.is_up(now) else NO_MORE
        account.never += [Never(name=ref.name, reason=account.why) for ref in account.returned]
        account.returned = []
        ended = account.ended(self._campaign.campaign_id, now)
        await self._keep(ended)
        self._is_over = True
        if account.is_broken:
            raise ApplicationError(ended.why, type=BROKEN, non_retryable=True)
        return ended

    async def _keep(self, ended: Ended) -> None:
        """Write the end down, also where the workflow is cancelled meanwhile: the answer is awaited
        by a condition, which a cancellation ends, and not the activity.
        """
        kept = workflow.start_activity(
            names.FINISH,
            args=[self._campaign, ended],
            heartbeat_timeout=self._heartbeat_timeout,
            start_to_close_timeout=_SHORT,
            retry_policy=_PATIENT,
        )
        while not kept.done():
            try:
                await workflow.wait_condition(kept.done)
            except asyncio.CancelledError:
                continue
        try:
            kept.result()
        except ActivityError as error:
            why = f"its summary could not be written: {_why(error)}"
            raise ApplicationError(why, type=BROKEN, non_retryable=True) from None

    def _set_alarm(self) -> None:
        """A timer for the end of its time, so that the conditions are looked at then."""
        self._clear_alarm()
        left = self._account.left(workflow.now())
        if left and not self._account.is_paused:
            self._alarm = asyncio.create_task(asyncio.sleep(left.total_seconds()))

    def _clear_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    @property
    def _cases_queue(self) -> str:
        return names.cases_queue(self._campaign.queue, self._campaign.code)

    @property
    def _heartbeat_timeout(self) -> timedelta:
        """Of every activity: any machine may be lost, also while it chooses the next cases."""
        return timedelta(seconds=self._account.limits.heartbeat_seconds)

    @property
    def _of_machines(self) -> RetryPolicy:
        """Machines may be killed again and again; each time another one takes the case. The pauses
        grow slowly: equal ones may fall into step with whatever kills the machines.
        """
        return RetryPolicy(
            backoff_coefficient=1.3,
            maximum_interval=timedelta(minutes=1),
            maximum_attempts=self._account.limits.attempts,
        )


def _is_not_begun(error: BaseException) -> bool:
    cause = error.cause if isinstance(error, ActivityError) else None
    return isinstance(cause, ApplicationError) and cause.type == names.NOT_BEGUN


def _why(error: BaseException, attempts: int = 0) -> str:
    """The sentence of an activity's error."""
    cause = (error.cause if isinstance(error, ActivityError) else None) or error
    if isinstance(cause, exceptions.TimeoutError):
        if cause.type is exceptions.TimeoutType.HEARTBEAT:
            return f"it was begun {attempts} times, and each time its machine was lost"
        return "it did not end in time"
    return cause.message if isinstance(cause, ApplicationError) else str(cause)
