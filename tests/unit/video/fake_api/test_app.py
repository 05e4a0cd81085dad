"""When the bills may be said to hold every answer."""

import asyncio
from pathlib import Path
from typing import cast

from starlette.types import Message

from tests.chaos.video.fake_api.api_request import poll_request
from tests.chaos.video.fake_api.app import Desk
from tests.chaos.video.fake_api.bills import Answered, BillsWriter, Record
from tests.chaos.video.fake_api.connection import Connection
from tests.chaos.video.fake_api.provider import Provider
from tests.chaos.video.fake_api.settings import Latencies, Prices
from tests.chaos.video.fake_api.state import Operations


class ConnectionThere:
    """A client that stays."""

    lost = asyncio.Event()

    async def notice(self) -> None:
        pass

    def connected(self) -> bool:
        return True


class SlowDisk:
    """Takes its time over the record of an answer."""

    def __init__(self, bills: BillsWriter) -> None:
        self.ready = asyncio.Event()
        self._bills = bills

    async def append(self, record: Record) -> None:
        if isinstance(record, Answered):
            await self.ready.wait()
        await self._bills.append(record)


async def test_a_reply_that_left_is_waited_for_until_it_is_recorded(tmp_path: Path) -> None:
    """So whoever has a reply in flight finds its answer in the bills over HTTP."""
    bills, _ = BillsWriter.open(tmp_path / "bills")
    disk = SlowDisk(bills)
    slow = cast("BillsWriter", disk)
    provider = Provider(slow, Operations(), Latencies(), Prices())
    desk = Desk(provider, slow, "key", stop=lambda _sentence: None)
    left = asyncio.Event()

    async def send(message: Message) -> None:
        if not message.get("more_body", True):
            left.set()

    asked = poll_request("m", "models/m/operations/none", key_valid=True)
    connection = cast("Connection", ConnectionThere())
    handling = asyncio.create_task(desk.handle(asked, connection, send))
    await left.wait()
    recorded = asyncio.create_task(desk.answers.recorded())
    await asyncio.sleep(0)
    assert not recorded.done()
    disk.ready.set()
    await asyncio.gather(handling, recorded)
    await bills.close()
