"""Proofs that a fault hit its target at the planned time. Without them: unknown."""

from chaos.invariants.proofs.command import command_hit
from chaos.invariants.proofs.limits import (
    no_retry_storm,
    rate_limit_was_hit,
    services_were_overloaded,
)
from chaos.invariants.proofs.network import network_was_hit
from chaos.invariants.proofs.packets import packets_were_hit
from chaos.invariants.proofs.process import (
    died_of,
    killed_while_open,
    ran_out_of_memory,
    was_down,
    was_paused,
)
from chaos.invariants.proofs.service import service_was_hit
from chaos.invariants.recovery.boundaries import hit_at

__all__ = [
    "command_hit",
    "died_of",
    "hit_at",
    "killed_while_open",
    "network_was_hit",
    "no_retry_storm",
    "packets_were_hit",
    "ran_out_of_memory",
    "rate_limit_was_hit",
    "service_was_hit",
    "services_were_overloaded",
    "was_down",
    "was_paused",
]
