"""The real worker; it dies at the point that its job names. `python -m benchmarks.dying_worker`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from benchmarks.points import Point, passes
from workflows import entry, worker
from workflows.models import CHARACTER, PaidOrder
from workflows.payments.calls import PaidRequest
from workflows.payments.execute import PaidCalls, PaidResult
from workflows.payments.replies import Replies
from workflows.transport import MaySend

T = TypeVar("T")

_execute = PaidCalls.execute


async def _dies_on_the_way(
    self: PaidCalls,
    request: PaidRequest,
    order: PaidOrder,
    replies: Replies[T],
    send: Callable[[MaySend], Awaitable[T]],
) -> PaidResult:
    job, is_image = request.operation_id, request.step == CHARACTER
    passes(job, Point.BEFORE_IMAGE if is_image else Point.BEFORE_VIDEO)
    result = await _execute(self, request, order, replies, send)
    if not is_image:
        passes(job, Point.AFTER_VIDEO)
    return result


def main() -> int:
    """Plant the points, then work as any worker does."""
    PaidCalls.execute = _dies_on_the_way  # type: ignore[method-assign] # into the real one
    return worker.main()


if __name__ == "__main__":
    entry.leave(main())
