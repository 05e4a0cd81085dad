"""The real worker, which dies where a job says so: `python -m benchmarks.doomed [no-ledger]`.

With `no-ledger` it is a plain Temporal worker: it sends each paid request whenever its activity is
attempted, and asks no ledger. The types that are ignored are a method's, which is replaced on
purpose.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from benchmarks.points import Point, passes
from workflows import entry, worker
from workflows.answers import Image
from workflows.models import CHARACTER, PaidOrder
from workflows.payments.calls import PaidCall, PaidRequest, State
from workflows.payments.execute import PaidCalls, PaidResult
from workflows.payments.replies import Replies
from workflows.transport import MaySend

T = TypeVar("T")

Send = Callable[[MaySend], Awaitable[T]]

_with_journal = PaidCalls.execute


async def _without_ledger(
    self: PaidCalls, purchase: PaidRequest, order: PaidOrder, replies: Replies[T], send: Send[T]
) -> PaidResult:
    """Send it, and put an image where the video's request looks for it."""
    del order, replies
    reply = await send(lambda: None)
    artifact = name = None
    if isinstance(reply, Image):
        self.artifacts.prepare(purchase.operation_id)
        file = f"{purchase.step}{reply.suffix}"
        artifact = self.artifacts.save(purchase.operation_id, file, reply.data)
    else:
        name = str(reply)
    now = datetime.now(UTC)
    call = PaidCall(
        operation_id=purchase.operation_id,
        step=purchase.step,
        number=1,
        item=purchase.item,
        model=purchase.model,
        cost_usd=purchase.cost_usd,
        state=State.DONE,
        sent_at=now,
        deadline_at=now,
        provider_operation=name,
        artifact=artifact,
    )
    return PaidResult(call, Decimal(0))


def main() -> int:
    """Plant the points, then work as any worker does."""
    pay = _without_ledger if sys.argv[1:] == ["no-ledger"] else _with_journal

    async def buy(
        self: PaidCalls, purchase: PaidRequest, order: PaidOrder, replies: Replies[T], send: Send[T]
    ) -> PaidResult:
        job, image = purchase.operation_id, purchase.step == CHARACTER
        passes(job, Point.BEFORE_IMAGE if image else Point.BEFORE_VIDEO)
        bill = await pay(self, purchase, order, replies, send)
        if not image:
            passes(job, Point.AFTER_VIDEO)
        return bill

    PaidCalls.execute = buy  # type: ignore[method-assign] # the points are planted into the real one
    return worker.main()


if __name__ == "__main__":
    entry.leave(main())
