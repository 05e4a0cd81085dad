"""What a fault is."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from chaos.experiment.lab import Lab


class Family(StrEnum):
    """What a fault breaks, as a user chooses it."""

    KILL = "kill"
    NETWORK = "network"
    API = "api"
    SERVER = "server"


class Fault(BaseModel):
    """A fault's settings; `Lab.begin`, `Lab.end` and `Lab.during` journal what it does.

    `inject` returns when the effect is there, `heal` when it is gone. A fault that raises halfway
    is healed as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: ClassVar[Family]

    type: str

    @property
    def kind(self) -> str:
        """What is done, as the journal has it."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """To whom."""
        raise NotImplementedError

    async def inject(self, lab: Lab) -> None:
        """Do it."""

    async def heal(self, lab: Lab) -> None:
        """Undo it; nothing where there is nothing to undo."""
