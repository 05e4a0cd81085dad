"""The end of a campaign, written down: the body of the last activity."""

from __future__ import annotations

from chaos.search.campaign import names
from chaos.search.campaign.model import Campaign, Ended
from chaos.search.campaign.store import Store, StoreError


def finish(campaign: Campaign, ended: Ended, store: Store) -> None:
    """Write `summary.json`, once: asked again, it is there already. The report is made from the
    verdicts themselves, by whoever asks for it. Raises StoreError.
    """
    if ended.campaign_id != campaign.campaign_id:
        raise StoreError(
            f"the end of {ended.campaign_id} is no end of {campaign.campaign_id}: nothing was "
            "written."
        )
    store.create(names.SUMMARY, ended.model_dump_json(indent=1).encode())
