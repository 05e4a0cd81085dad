"""A worker that knows one task queue and one namespace, and asks for nothing but an address.

Its workflow waits, starts a child, runs an activity and continues as new.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "the-only-queue"
NAMESPACE = "the-only-namespace"

_SOON = timedelta(seconds=2)
"""How long an attempt may take: so soon a lost one is tried again."""


@activity.defn
async def greet(name: str) -> str:
    """Say hello."""
    return f"hello {name}"


async def _greeting(name: str) -> str:
    return await workflow.execute_activity(
        greet,
        name,
        start_to_close_timeout=_SOON,
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
    )


@workflow.defn
class Child:
    """One greeting."""

    @workflow.run
    async def run(self, name: str) -> str:
        """Of that name."""
        return await _greeting(name)


@workflow.defn
class Plain:
    """All that a history may hold."""

    @workflow.run
    async def run(self, runs: int) -> str:
        """So many runs."""
        await asyncio.sleep(0.1)
        await workflow.execute_child_workflow(Child.run, "child", task_timeout=_SOON)
        greeting = await _greeting("parent")
        if runs > 1:
            workflow.continue_as_new(runs - 1, task_timeout=_SOON)
        return greeting


async def main() -> None:
    """Work until it is killed."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"], namespace=NAMESPACE)
    await Worker(
        client,
        task_queue=QUEUE,
        workflows=[Plain, Child],
        activities=[greet],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ).run()


if __name__ == "__main__":
    asyncio.run(main())
