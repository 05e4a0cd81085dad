"""A heading of the guide as data: what it is called, and how it becomes a scenario of a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaos.environment.target import Target
from chaos.experiment.scenario import Scenario

PREFIX = "guide_"
"""Before a heading's name it is the name of its scenario, so that it meets none of a project's."""


def no_workload(target: Target) -> str | None:
    """Why a target has nothing that a scenario of the guide could run."""
    if target.has_workers_already:
        return "its workers are there already, and the guide starts its own: name Target.worker"
    if target.specs:
        return None
    return "the target names no workflow: name one in Target.specs, whose first is the workload"


@dataclass(frozen=True)
class Heading:
    """One heading of Temporal's guide "Pre-production testing".

    Attributes:
        name: its name here, such as `kill_all_workers`.
        title: its title in the guide.
        watches: what its report shows of what the guide says to watch.
        make: its scenario for a target; the name and the title are given to it afterwards. None:
            it has no scenario, and `why_not` says why.
        why_not: why a target cannot run it: what is missing, and what to name; None: it can.

    """

    name: str
    title: str
    watches: str
    make: Callable[[Target], Scenario] | None
    why_not: Callable[[Target], str | None] = no_workload

    @property
    def scenario_name(self) -> str:
        """The name of its scenario."""
        return f"{PREFIX}{self.name}"

    @property
    def command(self) -> str:
        """What runs it, in the folder of a project."""
        return f"temporal-chaos run {self.scenario_name} --guide"


def is_of_the_guide(scenario_name: str) -> bool:
    """Whether a scenario is one of a heading, by its name."""
    return scenario_name.startswith(PREFIX)
