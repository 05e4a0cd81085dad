"""When the ledger may be said to hold every answer."""

import asyncio
from pathlib import Path
from typing import cast

from starlette.types import Message

from tests.chaos.video.fake_api.app import Desk
from tests.chaos.video.fake_api.asked import asked_poll
from tests.chaos.video.fake_api.connection import Connection
from tests.chaos.video.fake_api.ledger import Answered, LedgerWriter, Record
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

    def __init__(self, ledger: LedgerWriter) -> None:
        self.ready = asyncio.Event()
        self._ledger = ledger

    async def append(self, record: Record) -> None:
        if isinstance(record, Answered):
            await self.ready.wait()
        await self._ledger.append(record)


async def test_a_reply_that_left_is_waited_for_until_it_is_recorded(tmp_path: Path) -> None:
    """So whoever has a reply in hand finds its answer in the ledger over HTTP."""
    ledger, _ = LedgerWriter.open(tmp_path / "ledger")
    disk = SlowDisk(ledger)
    slow = cast("LedgerWriter", disk)
    provider = Provider(slow, Operations(), Latencies(), Prices())
    desk = Desk(provider, slow, "key", stop=lambda _sentence: None)
    left = asyncio.Event()

    async def send(message: Message) -> None:
        if not message.get("more_body", True):
            left.set()

    asked = asked_poll("m", "models/m/operations/none", key_valid=True)
    connection = cast("Connection", ConnectionThere())
    handling = asyncio.create_task(desk.handle(asked, connection, send))
    await left.wait()
    recorded = asyncio.create_task(desk.answers.recorded())
    await asyncio.sleep(0)
    assert not recorded.done()
    disk.ready.set()
    await asyncio.gather(handling, recorded)
    await ledger.close()
