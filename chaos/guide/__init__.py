"""Temporal's guide "Pre-production testing" as scenarios that any target gets by its name.

Each heading of the guide is a module with a `HEADING`, and a line in `HEADINGS`. A scenario here
knows of its target what `Target` says, and nothing else: the first of `Target.specs` is the
workload, `Target.drawn` how it runs, `Target.invariants` what must hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chaos.environment.target import Target
from chaos.experiment.scenario import Case, Scenario
from chaos.guide import (
    broken_dependencies,
    deploy_change,
    deploy_nondeterministic,
    downstream_load,
    kill_all_workers,
    no_network,
    rate_limits,
    region_failover,
    restart_some_workers,
)
from chaos.guide.heading import Heading, is_of_the_guide

__all__ = ["HEADINGS", "Heading", "is_of_the_guide", "scenarios"]

HEADINGS: Sequence[Heading] = (
    kill_all_workers.HEADING,
    restart_some_workers.HEADING,
    downstream_load.HEADING,
    rate_limits.HEADING,
    region_failover.HEADING,
    broken_dependencies.HEADING,
    deploy_change.HEADING,
    deploy_nondeterministic.HEADING,
    no_network.HEADING,
)
"""In the order of the guide."""


def scenarios(target: Target) -> Sequence[Scenario]:
    """The guide's scenarios of a target, in its order. One whose heading needs what the target
    lacks is there, too, and says at once why it cannot run.
    """
    return tuple(
        scenario
        for number, heading in enumerate(HEADINGS, start=1)
        for scenario in _scenario(heading, number, target)
    )


def _scenario(heading: Heading, number: int, target: Target) -> Sequence[Scenario]:
    """None of a heading that has no scenario for anybody."""
    if heading.make is None:
        return ()
    missing = heading.why_not(target)
    made = _not_run(target, missing) if missing else heading.make(target)
    return (replace(made, name=heading.scenario_name, title=heading.title, number=number),)


def _not_run(target: Target, missing: str) -> Scenario:
    async def nothing(lab: object) -> None:
        del lab

    case = Case(
        name="only",
        target=target,
        experiment=nothing,
        proofs=(),
        load=lambda _: (),
        invariants=(),
        needs=lambda: missing,
    )
    return Scenario(name="", title="", cases=(case,))
