"""The plan of a probe as data: what is normal, and the points that are tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from chaos.search.crash.points import Disturbance
from chaos.search.probe.attempts import Normal
from chaos.search.probe.baseline import Baseline
from chaos.search.probe.plan import Choice, chosen, disturbances
from chaos.search.probe.record import Undisturbed


class Measured(BaseModel):
    """What undisturbed runs show. `found` is how many points there are."""

    model_config = ConfigDict(frozen=True)

    undisturbed: tuple[Undisturbed, ...]
    baseline: Baseline
    found: int
    chosen: tuple[Disturbance, ...]

    @classmethod
    def of(cls, runs: Sequence[Normal], choice: Choice) -> Self:
        """From the runs. Raises NoBaselineError."""
        baseline = Baseline.of([run.observed for run in runs])
        found = disturbances([run.points for run in runs])
        return cls(
            undisturbed=tuple(run.saved for run in runs),
            baseline=baseline,
            found=len(found),
            chosen=tuple(chosen(found, choice)),
        )
