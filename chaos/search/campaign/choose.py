"""Which cases of a campaign are next: those that add most to what was covered so far.

A turn depends on its question and on the memory of the turn before, and on nothing else: asked
again, it answers the same.
"""

from __future__ import annotations

from pathlib import Path

from chaos.environment.target import Target
from chaos.search.campaign import names
from chaos.search.campaign.drawing import next_drawn
from chaos.search.campaign.model import Batch, Campaign, Scenarios, Seeds, Turn
from chaos.search.campaign.planned import next_planned, planned_points
from chaos.search.campaign.scenarios import planned_scenarios
from chaos.search.campaign.store import Store, StoreError
from chaos.search.campaign.turns import read_turn, write_turn


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
        after = next_planned(planned_scenarios(campaign, work, Path.cwd()), turn.most, memory)
    else:
        after = next_planned(planned_points(work, store), turn.most, memory)
    return write_turn(store, after)
