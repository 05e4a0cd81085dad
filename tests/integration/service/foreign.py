"""Workflows of our types that other programs started, ran or ended: nothing in them is ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE, NOBODYS_QUEUE = "foreign", "nobody"


def json_payload(text: str) -> RawValue:
    """A payload that says it is JSON."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


UNKNOWN = RawValue(Payload(metadata={"encoding": b"binary/of-another"}, data=b"\x00\xff"))
ENCRYPTED = RawValue(
    Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"k1"}, data=b"\x9a")
)
NO_ENCODING = RawValue(Payload(data=b"naked"))
NO_JSON = json_payload("{no json")
NO_UNICODE = json_payload('"\\ud800"')
DEEP = json_payload("[" * 1_500)
MANY = json_payload('{"character_prompt": 1, "video_prompts": [' + "1," * 200_000 + "1]}")
MONEY = json_payload('{"operation_id": "x", "cost_usd": "NaN"}')
NOBODYS_STAGE = json_payload('{"operation_id": "x", "stage": "dancing"}')
INPUT = json_payload('{"character_prompt": "a", "video_prompt": "b"}')

PAYLOADS: Mapping[str, RawValue] = {
    "unknown": UNKNOWN,
    "encrypted": ENCRYPTED,
    "no-encoding": NO_ENCODING,
    "no-json": NO_JSON,
    "no-unicode": NO_UNICODE,
    "deep": DEEP,
    "text": json_payload('"a text"'),
    "list": json_payload("[1]"),
    "money": MONEY,
    "stage": NOBODYS_STAGE,
}


@dataclass
class Told:
    """What the foreign worker is to do with each workflow, by its id."""

    results: dict[str, Sequence[RawValue]] = field(default_factory=dict)
    details: dict[str, Sequence[RawValue]] = field(default_factory=dict)
    queries: dict[str, RawValue] = field(default_factory=dict)
    beats: dict[str, RawValue] = field(default_factory=dict)


_TOLD = Told()


@activity.defn(name="beat")
async def beat() -> None:
    """Heartbeats what nobody here can read, then lasts."""
    activity.heartbeat(_TOLD.beats[str(activity.info().workflow_id)])
    await asyncio.sleep(3600)


@workflow.defn(name="SingleVideo")
class ForeignSingle:
    """Another program's idea of a single video."""

    @workflow.run
    async def run(self, *_: RawValue) -> Any:
        """Do as it is told."""
        name = workflow.info().workflow_id
        if name in _TOLD.details:
            raise ApplicationError("foreign words", *_TOLD.details[name], non_retryable=True)
        if name in _TOLD.results:
            (result,) = _TOLD.results[name] or (None,)
            return result
        if name in _TOLD.beats:
            await workflow.execute_activity(
                beat,
                start_to_close_timeout=timedelta(hours=1),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        await workflow.wait_condition(lambda: False)
        return None

    @workflow.query
    def progress(self) -> RawValue:
        """Something else than a progress."""
        name = workflow.info().workflow_id
        if name not in _TOLD.queries:
            raise ApplicationError("no progress here")
        return _TOLD.queries[name]


async def _start(
    client: Client,
    name: str,
    *arguments: RawValue,
    kind: str = "SingleVideo",
    queue: str = NOBODYS_QUEUE,
    **options: Any,
) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(kind, args=arguments, id=name, task_queue=queue, **options)


@contextlib.asynccontextmanager
async def foreigners(client: Client, prefix: str) -> AsyncIterator[Sequence[str]]:
    """One of each kind, for a block; their ids. All are terminated after it."""
    handles: list[WorkflowHandle[Any, Any]] = []

    async def start(name: str, *arguments: RawValue, **options: Any) -> WorkflowHandle[Any, Any]:
        handles.append(await _start(client, f"{prefix}-{name}", *arguments, **options))
        return handles[-1]

    # With wrong inputs, and nobody who works on them.
    await start("no-input")
    await start("two-inputs", INPUT, INPUT)
    await start("series-with-the-input-of-a-single", INPUT, kind="SeriesVideo")
    await start("many-wrong-prompts", MANY, kind="SeriesVideo")
    for name, payload in PAYLOADS.items():
        await start(f"input-{name}", payload)
        await start(f"series-input-{name}", payload, kind="SeriesVideo")
        await start(f"memo-{name}", INPUT, memo={"videos": payload})
        await start(f"print-{name}", INPUT, memo={"fingerprint": payload})
        await start(f"other-memo-{name}", INPUT, memo={"of-another": payload})
    for name in ("a b", "a/b", "é", "-a", "a" * 900, "a\nb", "<img src=x>", "%2e"):
        await start(f"id {name}", INPUT)
    await start("of-another-type", INPUT, kind="Foreign")
    await (await start("terminated", UNKNOWN)).terminate(UNKNOWN, reason="by another")
    await start("timed-out", execution_timeout=timedelta(seconds=1))
    await start("delayed", INPUT, start_delay=timedelta(hours=1))

    # Run by a worker of somebody else.
    ending = []
    for name, payload in PAYLOADS.items():
        _TOLD.results[f"{prefix}-result-{name}"] = [payload]
        _TOLD.details[f"{prefix}-details-{name}"] = [payload]
        ending.append(await start(f"result-{name}", queue=QUEUE))
        ending.append(await start(f"details-{name}", queue=QUEUE))
        _TOLD.queries[f"{prefix}-query-{name}"] = payload
        await start(f"query-{name}", INPUT, queue=QUEUE)
        _TOLD.beats[f"{prefix}-beat-{name}"] = payload
        await start(f"beat-{name}", INPUT, queue=QUEUE)
    _TOLD.results[f"{prefix}-result-none"] = []
    _TOLD.details[f"{prefix}-details-none"] = []
    ending.append(await start("result-none", queue=QUEUE))
    ending.append(await start("details-none", queue=QUEUE))
    canceled = await start("canceled", queue=QUEUE)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[ForeignSingle],
        activities=[beat],
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    ):
        await canceled.cancel()
        for handle in (*ending, canceled):
            with contextlib.suppress(Exception):  # it ended; nobody need read how
                await handle.result()
        try:
            yield [handle.id for handle in handles]
        finally:
            # The server may be away by now.
            ended = (handle.terminate(rpc_timeout=timedelta(seconds=2)) for handle in handles)
            await asyncio.gather(*ended, return_exceptions=True)
