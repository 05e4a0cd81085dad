"""The faults as data, a kind a class: each says how it is injected and how it is healed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaos.faults.base import Family, Fault
from chaos.faults.memory import OutOfMemory
from chaos.faults.network import BadNetwork
from chaos.faults.process import KillWorker, PauseWorker, SleepWorker
from chaos.faults.server import ServerDown, ServerPaused
from chaos.faults.service import ServiceDown
from chaos.faults.storage import (
    Damage,
    DamagedDatabase,
    DiskFull,
    Seen,
    back_up,
    disk_of,
    try_damaged,
)
from tests.chaos.video.faults import BadApi

__all__ = [
    "AnyFault",
    "BadApi",
    "BadNetwork",
    "Damage",
    "DamagedDatabase",
    "DiskFull",
    "Family",
    "Fault",
    "KillWorker",
    "OutOfMemory",
    "PauseWorker",
    "Seen",
    "ServerDown",
    "ServerPaused",
    "ServiceDown",
    "SleepWorker",
    "back_up",
    "disk_of",
    "try_damaged",
]

AnyFault = Annotated[
    BadApi
    | BadNetwork
    | KillWorker
    | OutOfMemory
    | PauseWorker
    | ServerDown
    | ServerPaused
    | ServiceDown
    | SleepWorker,
    Field(discriminator="type"),
]
"""Any of them, as a schedule's file has it."""
