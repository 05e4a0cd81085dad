import asyncio

from shared import Transfer
from temporalio import activity

DEPOSIT_SECONDS = 2.0


@activity.defn
async def withdraw(transfer: Transfer) -> str:
    return f"out-{transfer.reference}"


@activity.defn
async def deposit(transfer: Transfer) -> str:
    if activity.info().attempt == 1:
        await asyncio.sleep(DEPOSIT_SECONDS)
    return f"in-{transfer.reference}"
