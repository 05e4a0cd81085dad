"""The only code that sends a paid request. Each of these steps is durable before the next begins:
intent, note of it, request, reply on disk, outcome.

What an attempt finds after a crash:

- before the intent: nothing; it pays.
- from the intent until the reply is on disk: an open call. Nobody can know whether it was billed.
  It is left alone until its deadline, and then settled by `IN_DOUBT_POLICY`. From the note on, the
  artifacts tell of it as well: a journal without it is an older copy, or another journal.
- after the reply is on disk: the reply; it is recorded, nothing is sent.
- after the outcome: the outcome; nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from workflows import policies
from workflows.api_errors import ApiError, Outcome
from workflows.artifacts import ArtifactError, ArtifactStore
from workflows.models import OpenCall, PaidOrder
from workflows.payments.calls import (
    OPEN,
    UNSETTLED,
    WASTED,
    AlreadyPaid,
    Answer,
    Granted,
    Limits,
    Open,
    PaidCall,
    PaidRequest,
    outcome_of,
)
from workflows.payments.identity import Binding
from workflows.payments.journal import JournalError, PaymentJournal
from workflows.payments.replies import Replies
from workflows.settings import Settings
from workflows.transport import MaySend

logger = logging.getLogger("workflows.payments.execute")

T = TypeVar("T")

_CANCELED = "it was canceled before it was sent"


class UndecidedError(Exception):
    """A paid request may have been billed; it is too early to settle it, or nobody has decided."""

    def __init__(self, call: OpenCall) -> None:
        but = "it can no longer be fetched" if call.provider_operation else "no reply came"
        super().__init__(
            f"the {call.item} of {call.step} may have been paid for (${call.cost_usd}), "
            f"but {but}: {call.reason.rstrip('.')}."
        )
        self.call = call


class PaidButLostError(Exception):
    """A reply that was paid for could be stored nowhere."""


@dataclass(frozen=True)
class PaidResult:
    """The request that paid for a step, and what the other requests of the step may have cost."""

    call: PaidCall
    possible_waste_usd: Decimal


@dataclass
class SendGuard:
    """The last check before a request leaves: may it still be sent?

    A worker that was paused may continue here after another one has taken the step over.
    """

    latest_uptime_seconds: float
    require_control: Callable[[], None]
    allowed: bool = False

    def require(self) -> None:
        """Raise ApiError where the request must not leave."""
        if _uptime_seconds() >= self.latest_uptime_seconds:
            raise ApiError(
                "NotSent",
                "the request was not sent: its deadline passed before it could be sent.",
                Outcome.RETRYABLE,
            )
        self.require_control()
        self.allowed = True


@dataclass(frozen=True)
class PaidCalls:
    """Pays for each step once, or records that it is in doubt whether it was paid for."""

    journal: PaymentJournal
    artifacts: ArtifactStore
    settings: Settings

    async def execute(
        self,
        request: PaidRequest,
        order: PaidOrder,
        replies: Replies[T],
        send: Callable[[MaySend], Awaitable[T]],
    ) -> PaidResult:
        """The result of a step, which is paid for now if it was not before.

        Raises ApiError, ArtifactError, JournalError, BudgetExceededError, UndecidedError or
        PaidButLostError.
        """
        request = await asyncio.to_thread(self._prepare, request)
        await asyncio.to_thread(self._recover, request, order, replies)
        self._require_control()
        guard = SendGuard(_uptime_seconds() + request.deadline_seconds, self._require_control)
        answer = await self._reserve(request, order)
        if isinstance(answer, Open):
            raise UndecidedError(answer.call)
        if not isinstance(answer, AlreadyPaid):
            if answer.call.number > 1:
                logger.warning(
                    "request %d for the %s of %s",
                    *(answer.call.number, answer.call.step, request.operation_id),
                )
            await self._note(answer.call)
            reply = await self._send(answer.call, order, guard, send)
            await self._keep(answer.call, reply, replies)
        return await asyncio.to_thread(self._result, request)

    def _prepare(self, request: PaidRequest) -> PaidRequest:
        """Check what anything that is paid for needs: the folder, and the right journal."""
        objection = Binding(self.artifacts.root).objection(self.journal.id)
        if objection:
            raise JournalError(objection, lasting=False)
        self.artifacts.prepare(request.operation_id)
        return replace(request, sent=self._noted(request))

    def _noted(self, request: PaidRequest | PaidCall) -> int:
        """How many requests of a step the artifacts tell of; a note of no number is of one."""
        noted = self.artifacts.read_note(request.operation_id, _note_of(request))
        if noted is None:
            return 0
        return int(noted) if re.fullmatch("[0-9]{1,9}", noted) else 1

    async def _note(self, call: PaidCall) -> None:
        """Write beside the artifacts that this request may be sent from now on."""
        try:
            await asyncio.to_thread(self._note_once, call)
        except ArtifactError as error:
            await self._never_sent(call, str(error))
            raise
        except asyncio.CancelledError:
            await self._never_sent(call, _CANCELED)
            raise

    def _note_once(self, call: PaidCall) -> None:
        """A sender that was paused may come late: it leaves a note with a higher number alone."""
        if self._noted(call) < call.number:
            self.artifacts.save_note(call.operation_id, _note_of(call), str(call.number))

    def _recover(self, request: PaidRequest, order: PaidOrder, replies: Replies[T]) -> None:
        """Record replies that are on disk without being recorded because their worker died, and the
        name that an operator knows.
        """
        calls = self.journal.calls(request.operation_id, request.step)
        if not calls:
            replies.require_none(request.operation_id, request.step)
        for call in calls:
            if call.state in OPEN and replies.record(self.journal, call):
                logger.info("found the reply to %s of %s", call.step, call.operation_id)
        doubtful = [call for call in calls if call.state in UNSETTLED]
        if order.made_as and doubtful:
            self.journal.record(doubtful[-1], provider_operation=order.made_as)

    async def _reserve(self, request: PaidRequest, order: PaidOrder) -> Answer:
        """Ask the journal; what is granted to a canceled attempt is recorded as never sent."""
        asking = asyncio.create_task(
            asyncio.to_thread(self.journal.reserve, request, self._limits(order))
        )
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            answer = await asking
            if isinstance(answer, Granted):
                await self._never_sent(answer.call, _CANCELED)
            raise

    async def _send(
        self,
        call: PaidCall,
        order: PaidOrder,
        guard: SendGuard,
        send: Callable[[MaySend], Awaitable[T]],
    ) -> T:
        try:
            return await send(guard.require)
        except asyncio.CancelledError:
            if not guard.allowed:
                await self._never_sent(call, _CANCELED)
            raise
        except ApiError as error:
            settle = (
                self.journal.doubt if error.outcome is Outcome.IN_DOUBT else self.journal.refuse
            )
            try:
                undecided = await asyncio.to_thread(settle, call, str(error))
            except JournalError as failure:
                # The intent stays, so the call counts as one that may have been billed.
                logger.warning("the failure of %s is not recorded: %s", call.step, failure)
                raise error from None
            if undecided and undecided.ambiguous > self._limits(order).in_doubt_allowed:
                raise UndecidedError(undecided) from None
            raise

    async def _never_sent(self, call: PaidCall, reason: str) -> None:
        """Record that it was not sent. Without that record it counts as open."""
        with contextlib.suppress(JournalError):
            await asyncio.to_thread(self.journal.refuse, call, reason)

    async def _keep(self, call: PaidCall, reply: T, replies: Replies[T]) -> None:
        """Put the reply on disk and record it; while neither is possible, wait and try again."""
        end = time.monotonic() + policies.STORE_PATIENCE.total_seconds()
        while True:
            try:
                await asyncio.to_thread(self._keep_once, call, reply, replies)
            except (ArtifactError, JournalError) as error:
                what = f"the {call.step} of {call.operation_id}"
                if time.monotonic() > end:
                    name = f" The provider calls it {reply}." if isinstance(reply, str) else ""
                    raise PaidButLostError(
                        f"{what} is paid for and could not be stored: {error}{name}"
                    ) from None
                logger.error("%s is paid for and waits to be stored: %s", what, error)  # noqa: TRY400 - a trace tells nothing more
                await asyncio.sleep(policies.STORE_RETRY_INTERVAL.total_seconds())
            else:
                return

    def _keep_once(self, call: PaidCall, reply: T, replies: Replies[T]) -> None:
        replies.put(call, reply)
        if not replies.record(self.journal, call):
            raise ArtifactError(f"the record just written for {call.step} is missing.")

    def _result(self, request: PaidRequest) -> PaidResult:
        calls = self.journal.calls(request.operation_id, request.step)
        bought = outcome_of(calls)
        if bought is None:
            raise JournalError(
                "the payment journal lost a record; stop all work and restore its latest state.",
                lasting=False,
            )
        wasted = [c.cost_usd for c in calls if c.state in WASTED and c.number != bought.number]
        return PaidResult(bought, sum(wasted, Decimal(0)))

    def _limits(self, order: PaidOrder) -> Limits:
        by_policy = (
            self.settings.in_doubt_resends if self.settings.in_doubt_policy == "resend" else 0
        )
        return Limits(max(by_policy, order.resends), self.settings.budget_usd, order.rebuys)

    def _require_control(self) -> None:
        """Raise ApiError where the run that this worker belongs to is gone."""
        lock = self.settings.pay_while_locked
        if lock is not None and not _is_locked(lock):
            raise ApiError(
                "NobodyInControl",
                f"nothing was sent: no process holds the lock on {lock}, which PAY_WHILE_LOCKED "
                "requires; the run that started this worker has ended.",
                Outcome.PERMANENT,
            )


def _note_of(request: PaidRequest | PaidCall) -> str:
    """The name of the note of how many requests of a step were sent."""
    return f"{request.step}.sent"


def _uptime_seconds() -> float:
    """A clock that goes on while the process, or the machine, is asleep."""
    if sys.platform == "darwin":
        clock = time.CLOCK_MONOTONIC  # which goes on during sleep there
    else:
        clock = time.CLOCK_BOOTTIME
    return time.clock_gettime(clock)


def _is_locked(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
