"""A worker whose workflows hang, fail and wait, each in a way of its own.

`CHANGED=1` is the release in which `Changed` decides otherwise, `CACHED` the number of workflows
that it keeps.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.workflow import ParentClosePolicy

LIMIT = timedelta(seconds=6)
CHANGED = bool(os.environ.get("CHANGED"))


@activity.defn
async def charge_card() -> None:
    """It is refused each time."""
    raise ApplicationError("card declined")


@activity.defn
async def pack(seconds: float) -> None:
    """It takes a while, and tells nobody of it."""
    await asyncio.sleep(seconds)


async def _pack(seconds: float = 0.0, **options: Any) -> None:
    options = {"start_to_close_timeout": LIMIT, "retry_policy": _every(0.1), **options}
    await workflow.execute_activity(pack, seconds, **options)


def _every(seconds: float) -> RetryPolicy:
    return RetryPolicy(initial_interval=timedelta(seconds=seconds), backoff_coefficient=1.0)


@workflow.defn
class Charge:
    """It tries again and again."""

    @workflow.run
    async def run(self, seconds: float) -> None:
        """`seconds` between two attempts."""
        await workflow.execute_activity(
            charge_card, start_to_close_timeout=LIMIT, retry_policy=_every(seconds)
        )


@workflow.defn
class Pack:
    """One activity without heartbeats, on the queue that it is told of."""

    @workflow.run
    async def run(self, seconds: float, queue: str) -> None:
        """How long it takes, and where."""
        await _pack(seconds, task_queue=queue or None)


@workflow.defn
class Changed:
    """It waits for a signal, and then does what its release says."""

    def __init__(self) -> None:
        self._is_told = False

    @workflow.signal
    def go(self) -> None:
        """Go on."""
        self._is_told = True

    @workflow.run
    async def run(self) -> None:
        """Until the signal, and one step beyond."""
        if CHANGED:
            await workflow.sleep(0.1)
        else:
            await _pack()
        await workflow.wait_condition(lambda: self._is_told)
        await _pack()


@workflow.defn
class Wrong:
    """Its code raises what is no failure of a workflow."""

    @workflow.run
    async def run(self) -> None:
        """Never done."""
        raise LookupError("there is no such order")


@workflow.defn
class Wait:
    """It waits for a timer, or for whoever may signal it."""

    @workflow.run
    async def run(self, seconds: float) -> None:
        """Zero: for ever."""
        await _pack()
        if seconds:
            await workflow.sleep(seconds)
        else:
            await workflow.wait_condition(lambda: False)


@workflow.defn
class Continued:
    """Each run does one step, and the last one ends."""

    @workflow.run
    async def run(self, left: int) -> None:
        """So many runs follow."""
        await _pack()
        if left:
            workflow.continue_as_new(left - 1)


@workflow.defn
class Parent:
    """It starts a child, and waits for it or leaves it to itself."""

    @workflow.run
    async def run(self, child: str, argument: list[float | str], how: str) -> None:
        """A workflow type, what it gets, and `wait` or `leave`."""
        handle = await workflow.start_child_workflow(
            child,
            args=argument,
            id=f"{workflow.info().workflow_id}/child",
            parent_close_policy=ParentClosePolicy.ABANDON,
        )
        if how == "wait":
            await handle


@workflow.defn(name="Pack")
class OtherPack:
    """What another release makes of `Pack`."""

    @workflow.run
    async def run(self, seconds: float, queue: str) -> None:
        """It waits first."""
        await workflow.sleep(1)
        await _pack(seconds, task_queue=queue or None)


@workflow.defn(name="Continued")
class OtherContinued:
    """What another release makes of `Continued`: the first of three runs is another."""

    @workflow.run
    async def run(self, left: int) -> None:
        """So many runs follow."""
        if left == 2:
            await workflow.sleep(1)
        await _pack()
        if left:
            workflow.continue_as_new(left - 1)


WORKFLOWS = (Charge, Pack, Changed, Wrong, Wait, Continued, Parent)
ACTIVITIES: tuple[Callable[..., Any], ...] = (charge_card, pack)


async def main() -> None:
    """Until it is ended."""
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], namespace=os.environ["TEMPORAL_NAMESPACE"]
    )
    await Worker(
        client,
        task_queue=os.environ["TASK_QUEUE"],
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        # Else the next workflow task of one that is killed waits 10 s for the worker that had it.
        max_cached_workflows=int(os.environ.get("CACHED", "0")),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ).run()


if __name__ == "__main__":
    asyncio.run(main())
