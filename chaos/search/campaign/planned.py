"""Cases that are all known beforehand, and which of them come next: those that add most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from chaos.search.campaign import names
from chaos.search.campaign.model import Batch, CaseRef, Explore, Probe
from chaos.search.campaign.plans import PLANNED, PointCase, cases_of, covered
from chaos.search.campaign.store import Store, StoreError
from chaos.search.campaign.turns import Memory


@dataclass(frozen=True)
class PlannedCase:
    """One of them. Those of the same `group` resemble each other; `cells` are what it is to
    cover.
    """

    case: CaseRef
    group: str = ""
    cells: tuple[str, ...] = ()


@lru_cache(maxsize=4)
def planned_points(work: Explore | Probe, store: Store) -> Sequence[PlannedCase]:
    """The points of a plan, which is written once, and so is read once. Raises StoreError."""
    found = store.read(names.THE_PLAN)
    if found is None:
        raise StoreError(f"{names.THE_PLAN} is missing: a campaign is planned before it begins.")
    try:
        return [_planned(each) for each in cases_of(work, PLANNED.validate_json(found))]
    except ValidationError:
        raise StoreError(
            f"{names.THE_PLAN} is damaged, or of another version: start the campaign anew."
        ) from None


def _planned(point: PointCase) -> PlannedCase:
    fault = point.disturbance
    return PlannedCase(
        case=point.ref,
        group=f"{fault.action} at {fault.point.kind}",
        cells=covered(fault.action, map(str, fault.point.boundaries)),
    )


def next_planned(planned: Sequence[PlannedCase], most: int, memory: Memory) -> Memory:
    """First what covers something that was not covered, then of the groups that were given least,
    then what takes longest.
    """
    given, seen = int(memory.given, 16), {*memory.cells}
    turns: Counter[str] = Counter(
        each.group for place, each in enumerate(planned) if given >> place & 1
    )
    left: list[tuple[tuple[bool, int, float, int], int]] = []
    for place, each in enumerate(planned):
        if given >> place & 1:
            continue
        is_covered = bool(each.cells) and seen.issuperset(each.cells)
        order = (is_covered, turns[each.group], -each.case.about_seconds, place)
        left.append((order, place))
        turns[each.group] += 1
    chosen = [place for _, place in sorted(left)[:most]]
    given |= sum(1 << place for place in chosen)
    batch = Batch(
        cases=tuple(planned[place].case for place in chosen),
        is_last=len(chosen) == len(left),
        total=len(planned),
    )
    return memory.model_copy(update={"given": f"{given:x}"}).answered(batch)
