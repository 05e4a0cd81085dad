"""How long the recovery from each fault took, and the bound of that."""

from chaos.invariants.recovery.bounds import bound_seconds, handover_seconds
from chaos.invariants.recovery.figures import Recovery, recoveries, repeated_attempts
from chaos.invariants.recovery.in_flight import met_work
from chaos.invariants.recovery.retries import (
    first_retries,
    has_a_cause,
    took_over,
    was_lost,
    went_silent,
)

__all__ = [
    "Recovery",
    "bound_seconds",
    "first_retries",
    "handover_seconds",
    "has_a_cause",
    "met_work",
    "recoveries",
    "repeated_attempts",
    "took_over",
    "was_lost",
    "went_silent",
]
