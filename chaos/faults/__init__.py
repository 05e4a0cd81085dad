"""The faults as data, a class for each kind, with how it is injected and healed."""

from __future__ import annotations

from chaos.faults.base import AnyFault, Family, Fault
from chaos.faults.command import CommandError, CommandFault
from chaos.faults.limits import RateLimited, ServiceOverloaded
from chaos.faults.memory import OutOfMemory
from chaos.faults.network import BadNetwork
from chaos.faults.packets import BadPackets
from chaos.faults.process import KillWorker, PauseWorker, StopWorker
from chaos.faults.server import ServerDown, ServerPaused
from chaos.faults.service import (
    ServiceDown,
    ServiceErrors,
    ServicePaused,
    ServiceReadOnly,
    ServiceSlow,
)
from chaos.faults.storage import (
    Damage,
    DamagedDatabase,
    DiskFull,
    Seen,
    back_up,
    disk_of,
    try_damaged,
)
from chaos.faults.wire import AtBoundary

__all__ = [
    "AnyFault",
    "AtBoundary",
    "BadNetwork",
    "BadPackets",
    "CommandError",
    "CommandFault",
    "Damage",
    "DamagedDatabase",
    "DiskFull",
    "Family",
    "Fault",
    "KillWorker",
    "OutOfMemory",
    "PauseWorker",
    "RateLimited",
    "Seen",
    "ServerDown",
    "ServerPaused",
    "ServiceDown",
    "ServiceErrors",
    "ServiceOverloaded",
    "ServicePaused",
    "ServiceReadOnly",
    "ServiceSlow",
    "StopWorker",
    "back_up",
    "disk_of",
    "try_damaged",
]
