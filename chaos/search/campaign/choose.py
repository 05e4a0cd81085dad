"""Which cases of a campaign are next: those that add most to what was covered so far.

A turn depends on its question and on the memory of the turn before, and on nothing else: asked
again, it answers the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from chaos.environment.target import Target
from chaos.search.campaign import names
from chaos.search.campaign.drawing import next_drawn
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    PlannedCase,
    PlannedCases,
    Scenarios,
    Seeds,
    Turn,
)
from chaos.search.campaign.scenarios import planned_scenarios
from chaos.search.campaign.store import Store, StoreError
from chaos.search.campaign.turns import Memory, read_turn, write_turn


def choose(campaign: Campaign, turn: Turn, store: Store, target: Target) -> Batch:
    """The next cases. Everything that they need is in the store when this returns. An empty batch
    that is not the last waits for verdicts. Raises StoreError, and ScheduleError or CatalogueError
    where the target cannot do what is asked.
    """
    taken = read_turn(store, turn.number)
    if taken:
        return taken.batch
    before = read_turn(store, turn.number - 1)
    if before is None:
        raise StoreError(
            f"{names.turn(turn.number - 1)} is missing: has somebody removed files of "
            f"{campaign.campaign_id}? Start the campaign anew."
        )
    memory, work = before.told(turn), campaign.work
    if isinstance(work, Seeds):
        after = next_drawn(work, turn.most, memory, store, target)
    elif isinstance(work, Scenarios):
        after = _next_planned(planned_scenarios(campaign, work, Path.cwd()), turn.most, memory)
    else:
        after = _next_planned(_plan(store), turn.most, memory)
    return write_turn(store, after)


@lru_cache(maxsize=4)
def _plan(store: Store) -> Sequence[PlannedCase]:
    """It is written once, so it is read once. Raises StoreError."""
    found = store.read(names.THE_PLAN)
    if found is None:
        raise StoreError(f"{names.THE_PLAN} is missing: a campaign is planned before it begins.")
    return PlannedCases.model_validate_json(found).cases


def _next_planned(planned: Sequence[PlannedCase], most: int, memory: Memory) -> Memory:
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
