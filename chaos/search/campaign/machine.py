"""What a worker process of a campaign has for its cases: a stack with lanes, and room for more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from chaos.environment.target import Target
from chaos.experiment.results import ScenarioResult
from chaos.experiment.scenario import Scenario
from chaos.search.crash.lane import Lane


@dataclass
class Held:
    """A lane that a case has to itself. `left` is a workflow that it leaves behind, which is given
    up before the next case gets the lane.
    """

    lane: Lane
    left: str = ""


@dataclass
class Machine:
    """One for each target that the process has had a case of."""

    name: str
    slots: int
    target: Target
    project: Path

    def lane(self) -> AbstractAsyncContextManager[Held]:
        """An idle lane of its stack, or a new one, both started where need be. A lane whose block
        raises is not used again. Raises what starting it raises.
        """
        raise NotImplementedError

    async def run(
        self, scenario: Scenario, folder: Path, emit: Callable[[object], None]
    ) -> ScenarioResult:
        """Run a scenario by `run_all`, with the second try that it may have; its cases' evidence
        goes below the folder as in any run.
        """
        raise NotImplementedError
