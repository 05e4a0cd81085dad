"""`plan.json` of a campaign: the points of an exploration or of a probe, and which case each is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chaos.search.campaign.model import CaseKind, CaseRef, Explore, Probe
from chaos.search.crash.points import Disturbance
from chaos.search.explore.plan import Plan, PlannedHit, slow_first
from chaos.search.probe.measured import Measured

_NAME_LENGTH = 150

_ABOUT_SECONDS = (60.0, 25.0, 15.0)
"""Beyond an undisturbed run: waiting for a heartbeat, for a workflow task, and for neither."""


class _Planned(BaseModel):
    """`bundle` is the evidence of the runs without a fault, which is always kept; `files` are the
    hashes of the files in it.
    """

    model_config = ConfigDict(frozen=True)

    bundle: str = ""
    files: dict[str, str] = {}


class PlannedExplore(_Planned):
    """The same plan as that of an exploration on one machine."""

    kind: Literal["explore"] = "explore"
    plan: Plan


class PlannedProbe(_Planned):
    """What the undisturbed runs showed."""

    kind: Literal["probe"] = "probe"
    plan: Measured


Planned = Annotated[PlannedExplore | PlannedProbe, Field(discriminator="kind")]
PLANNED: TypeAdapter[PlannedExplore | PlannedProbe] = TypeAdapter(Planned)
"""Reads and writes it."""


@dataclass(frozen=True)
class PointCase:
    """A case, and the fault of it."""

    ref: CaseRef
    disturbance: Disturbance


def cases_of(work: Explore | Probe, planned: PlannedExplore | PlannedProbe) -> Sequence[PointCase]:
    """All cases of a campaign of points; those that take longest are the first."""
    if isinstance(planned, PlannedProbe):
        return [_probed(each, planned.plan.baseline.seconds) for each in planned.plan.chosen]
    times = work.times if isinstance(work, Explore) else 1
    hits = sorted(planned.plan.hits, key=slow_first)
    return [_point(each, number) for number in range(1, times + 1) for each in hits]


def covered(action: str, boundaries: Iterable[str]) -> tuple[str, ...]:
    """What a fault there has covered, for the choice of the next cases."""
    return tuple(f"{action} at {each}" for each in boundaries)


def _point(hit: PlannedHit, number: int) -> PointCase:
    """A point's own name ends with a number or a hash, so no other one is called like its second
    time.
    """
    name = valid_name(hit.name) if number == 1 else f"{valid_name(hit.name)}-time-{number}"
    about_seconds = hit.seconds + _ABOUT_SECONDS[slow_first(hit)]
    return PointCase(CaseRef(name=name, kind=CaseKind.POINT, about_seconds=about_seconds), hit)


def _probed(disturbance: Disturbance, seconds: float) -> PointCase:
    about_seconds = seconds + _ABOUT_SECONDS[1]
    ref = CaseRef(
        name=valid_name(disturbance.name), kind=CaseKind.PROBED, about_seconds=about_seconds
    )
    return PointCase(ref, disturbance)


def valid_name(name: str) -> str:
    """For a file of any store: a spec may be called anything."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) and len(name) <= _NAME_LENGTH:
        return name
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")
    return f"{slug[:_NAME_LENGTH]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
