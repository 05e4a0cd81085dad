"""The fake paid API, in a process of its own, with its ledger in the evidence folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from chaos.fake_api.control import FakeApi
from chaos.journal import Event
from chaos.ports import Port
from chaos.process import Child
from chaos.waiting import wait_until

READY_DEADLINE_SECONDS = 30.0
KEY_VARIABLE = "FAKE_API_KEY"


@dataclass
class ApiServer:
    """The fake API's process and its control client."""

    child: Child
    port: Port
    control: FakeApi

    @staticmethod
    def argv(port: Port, ledger: Path) -> list[str]:
        """The command line."""
        return [
            *(sys.executable, "-m", "chaos.fake_api"),
            *("--port", str(port.number), "--ledger", str(ledger)),
        ]

    async def start(self) -> None:
        """Start it and wait until it answers. Raises ChildError."""
        self.child.start()
        await wait_until(
            self._answers, what="the fake API answers", deadline_seconds=READY_DEADLINE_SECONDS
        )
        self.child.journal.add(Event.READY, target=self.child.name, pid=self.child.pid)

    async def _answers(self) -> bool:
        self.child.require_alive()
        return await self.control.health()
