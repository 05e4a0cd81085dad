"""A worker of `examples/orders` with a mistake that only a limit reveals, by its name:
`python -m tests.planted_worker hasty`. The test copies it into the example.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
from orders import worker, workflow
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

_REFUSED = {429, 503}
_post = httpx.AsyncClient.post


async def final(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
    """Whoever is asked to come later gives up."""
    response = await _post(self, *args, **options)
    if response.status_code in _REFUSED:
        response.status_code = 400
    return response


async def drops(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
    """What was refused counts as done."""
    response = await _post(self, *args, **options)
    if response.status_code in _REFUSED:
        return httpx.Response(200, json={"id": "later"}, request=response.request)
    return response


async def hasty(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
    """Whoever is refused asks again at once."""
    while True:
        response = await _post(self, *args, **options)
        if response.status_code not in _REFUSED:
            return response


def tight() -> None:
    """No report may be late: an attempt that says nothing for 1.5 s is given up for good."""
    workflow.HEARTBEAT = timedelta(seconds=1.5)
    workflow.RETRY = RetryPolicy(maximum_attempts=1)
    # The sandbox would read the workflow's own file again.
    worker.Worker = partial(Worker, workflow_runner=UnsandboxedWorkflowRunner())  # type: ignore[attr-defined,assignment]  # it replaces the class on purpose


_POSTS: Mapping[str, Callable[..., Any]] = {"final": final, "drops": drops, "hasty": hasty}

if __name__ == "__main__":
    if sys.argv[1] == "tight":
        tight()
    else:
        httpx.AsyncClient.post = _POSTS[sys.argv[1]]  # type: ignore[method-assign]  # as above
    asyncio.run(worker.main())
