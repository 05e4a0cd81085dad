"""The builds of a target's workers between which a deploy goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

VersionName = Literal["old", "new", "broken"]
"""How an experiment names one of a target's versions."""

DEPLOYMENT_VARIABLE = "TEMPORAL_DEPLOYMENT_NAME"
BUILD_VARIABLE = "TEMPORAL_WORKER_BUILD_ID"
"""The variables in which Temporal's worker controller for Kubernetes tells a worker which version
of which worker deployment it is.
"""

GRACE_SECONDS = 30.0
"""Until a process that got SIGTERM gets SIGKILL: the default of Kubernetes and of its like."""


@dataclass(frozen=True)
class Version:
    """One build of a target's workers. It differs from the target's own worker by its command line
    `argv`, by what its environment has beside the target's `settings`, or by both; they may hold
    what the target's may. `build_id` is its name in Worker Versioning.
    """

    argv: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    build_id: str = ""


@dataclass(frozen=True)
class Versions:
    """Which builds a deploy starts and stops.

    `new` continues what `old` has begun, such as by a change behind `patched`. `broken` does not:
    it is deployed by mistake, and rolled back. A worker that is to stop gets SIGTERM, and SIGKILL
    `grace_seconds` later. `invariants` must hold after a deploy, instead of the target's own: name
    them where the target's own are of the old code alone, such as `replays_with` its workflows.

    With the name of a worker `deployment`, and a build id for each version, deploys by Worker
    Versioning are tested as well: a worker that finds both in `TEMPORAL_DEPLOYMENT_NAME` and
    `TEMPORAL_WORKER_BUILD_ID` polls as that version, and one that does not is not versioned.

    Raises ValueError where old and new start the same program, or a build id is missing.
    """

    old: Version
    new: Version
    broken: Version | None = None
    deployment: str = ""
    grace_seconds: float = GRACE_SECONDS
    invariants: Sequence[Any] = ()

    def __post_init__(self) -> None:
        programs = [(tuple(each.argv), dict(each.settings)) for each in self.all.values()]
        if any(program in programs[:number] for number, program in enumerate(programs)):
            raise ValueError(
                "two versions start the same program, so there is nothing to deploy: give each a "
                "command line or settings of its own."
            )
        builds = [each.build_id for each in self.all.values()]
        if self.deployment and (not all(builds) or len(set(builds)) < len(builds)):
            raise ValueError(
                f"the versions of the worker deployment {self.deployment!r} need build ids that "
                "differ: give each a build_id."
            )

    @property
    def all(self) -> Mapping[VersionName, Version]:
        """Those that there are, by name."""
        known: dict[VersionName, Version] = {"old": self.old, "new": self.new}
        return {**known, "broken": self.broken} if self.broken else known

    def variables(self, name: VersionName) -> Mapping[str, str]:
        """What tells a worker which version it is. Raises KeyError."""
        return {DEPLOYMENT_VARIABLE: self.deployment, BUILD_VARIABLE: self.all[name].build_id}
