"""The fake paid API, in a process of its own, with its ledger in the evidence folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from chaos.process.child import Child
from chaos.process.ports import Port
from tests.chaos.video.fake_api.control import FakeApi

READY_DEADLINE_SECONDS = 30.0


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
            *(sys.executable, "-m", "tests.chaos.video.fake_api"),
            *("--port", str(port.number), "--ledger", str(ledger)),
        ]

    async def start(self) -> None:
        """Start it and wait until it answers. Raises ChildError."""
        await self.child.start_ready(
            self.control.health,
            what="the fake API answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )
