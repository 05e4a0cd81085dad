"""A workflow for each thing that a worker tells its server."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

START_TO_CLOSE = timedelta(seconds=2)
QUICK_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=100), backoff_coefficient=1)


@activity.defn
async def pack(parcel: str) -> str:
    return f"{parcel} packed"


@activity.defn
async def weigh(parcel: str) -> int:
    return len(parcel)


@activity.defn
async def carry(parcel: str) -> str:
    if activity.info().attempt == 1:
        activity.heartbeat("on the road")
        raise ApplicationError(f"{parcel} fell down")
    return f"{parcel} carried"


@workflow.defn(sandboxed=False)
class Packing:
    """One activity."""

    @workflow.run
    async def run(self, parcel: str) -> str:
        return await workflow.execute_activity(
            pack, parcel, start_to_close_timeout=START_TO_CLOSE, retry_policy=QUICK_RETRIES
        )


@workflow.defn(sandboxed=False)
class Carrying:
    """One that weighs within the workflow task, and whose carrier fails once."""

    @workflow.run
    async def run(self, parcel: str) -> str:
        await workflow.execute_local_activity(weigh, parcel, start_to_close_timeout=START_TO_CLOSE)
        return await workflow.execute_activity(
            carry,
            parcel,
            start_to_close_timeout=START_TO_CLOSE,
            heartbeat_timeout=START_TO_CLOSE,
            retry_policy=QUICK_RETRIES,
        )


@workflow.defn(sandboxed=False)
class Counter:
    """A place where parcels are left, until it is closed."""

    def __init__(self) -> None:
        self._parcels: list[str] = []
        self._is_closed = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self._is_closed)
        return self._parcels

    @workflow.query
    def parcels(self) -> list[str]:
        return self._parcels

    @workflow.update
    async def leave(self, parcel: str) -> int:
        self._parcels.append(parcel)
        return len(self._parcels)

    @leave.validator
    def is_known(self, parcel: str) -> None:
        if not parcel:
            raise ApplicationError("no parcel")

    @workflow.signal
    def close(self) -> None:
        self._is_closed = True


@workflow.defn(sandboxed=False)
class Depot:
    """It has a counter of its own, and closes it; says in which namespace it is."""

    @workflow.run
    async def run(self) -> str:
        mine = workflow.info().workflow_id
        counter = await workflow.start_child_workflow(Counter.run, id=f"{mine}-counter")
        await workflow.get_external_workflow_handle(f"{mine}-counter").signal(Counter.close)
        await counter
        return workflow.info().namespace
