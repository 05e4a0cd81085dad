"""Test region failover: the one heading without a scenario."""

from __future__ import annotations

from chaos.environment.target import Target
from chaos.guide.heading import Heading


def _why_not(target: Target) -> str:
    del target
    return (
        "a failover is ordered from Temporal Cloud, for a namespace with a replica in another "
        "region; no server that can be started here has one: run it there, by hand"
    )


HEADING = Heading(
    name="region_failover",
    title="Test region failover",
    watches="nothing: it can only be run in Temporal Cloud",
    make=None,
    why_not=_why_not,
)
