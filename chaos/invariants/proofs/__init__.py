"""Proofs that a fault hit its target at the planned moment. Without them: unknown."""

from chaos.invariants.proofs.down import was_down
from chaos.invariants.proofs.memory import ran_out_of_memory
from chaos.invariants.proofs.network import network_was_hit
from chaos.invariants.proofs.process import (
    checkpoint_before_kill,
    died_of,
    killed_during_render,
    killed_during_request,
    killed_while_open,
    was_paused,
)
from chaos.invariants.proofs.server import cluster_was_struck, server_was_down
from tests.chaos.video.invariants.api_proofs import all_were_open_at_once, provider_answered

__all__ = [
    "all_were_open_at_once",
    "checkpoint_before_kill",
    "cluster_was_struck",
    "died_of",
    "killed_during_render",
    "killed_during_request",
    "killed_while_open",
    "network_was_hit",
    "provider_answered",
    "ran_out_of_memory",
    "server_was_down",
    "was_down",
    "was_paused",
]
