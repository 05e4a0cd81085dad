"""What is done in the world: the payment provider and the carrier are asked by HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError

from orders.workflow import OrderInput

HEARTBEAT_SECONDS = 1.0
DEADLINE_SECONDS = 10.0


@activity.defn
async def charge_card(order: OrderInput) -> str:
    """Take the money; the charge's id."""
    return await _ask("PAYMENTS_URL", "charges", order, key=f"charge-{order.order_id}")


@activity.defn
async def refund_card(order: OrderInput) -> str:
    """Give it back; the refund's id."""
    return await _ask("PAYMENTS_URL", "refunds", order, key=f"refund-{order.order_id}")


@activity.defn
async def check_order(order: OrderInput) -> str:
    """Refuse an order that no honest customer makes; who it was checked for. Since version 2."""
    if order.amount_cents <= 0:
        raise ApplicationError(f"{order.amount_cents} cents is no price", non_retryable=True)
    return order.order_id


@activity.defn
async def ship_parcel(order: OrderInput) -> str:
    """Hand the parcel over; its id."""
    return await _ask("CARRIER_URL", "parcels", order, key=f"parcel-{order.order_id}")


async def _ask(service: str, thing: str, order: OrderInput, key: str) -> str:
    """Ask for a thing once: a service that is asked again with the same key answers as before."""
    async with _heartbeat(), httpx.AsyncClient(timeout=DEADLINE_SECONDS) as client:
        response = await client.post(
            f"{os.environ[service]}/{thing}",
            json={"order_id": order.order_id, "amount_cents": order.amount_cents},
            headers={"Idempotency-Key": key},
        )
    if response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
        raise ApplicationError(f"{thing} were refused: {response.text}", non_retryable=True)
    response.raise_for_status()
    return str(response.json()["id"])


@asynccontextmanager
async def _heartbeat() -> AsyncIterator[None]:
    """Tell the server that this worker lives, so that it is soon known when it does not."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
