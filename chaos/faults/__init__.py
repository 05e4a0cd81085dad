"""The faults as data, a kind a class: each says how it is injected and how it is healed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaos.faults.api import BadApi
from chaos.faults.base import Family, Fault
from chaos.faults.network import BadNetwork
from chaos.faults.process import KillWorker, PauseWorker
from chaos.faults.server import ServerDown, ServerPaused

__all__ = [
    "AnyFault",
    "BadApi",
    "BadNetwork",
    "Family",
    "Fault",
    "KillWorker",
    "PauseWorker",
    "ServerDown",
    "ServerPaused",
]

AnyFault = Annotated[
    BadApi | BadNetwork | KillWorker | PauseWorker | ServerDown | ServerPaused,
    Field(discriminator="type"),
]
"""Any of them, as a schedule's file has it."""
