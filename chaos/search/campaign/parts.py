"""What the activities of a campaign consist of."""

from __future__ import annotations

from chaos.search.campaign.activities import Parts
from chaos.search.campaign.choose import choose
from chaos.search.campaign.points import plan, run_point
from chaos.search.campaign.runs import run_case
from chaos.search.campaign.summary import finish


def parts() -> Parts:
    """All of them."""
    return Parts(plan=plan, run_point=run_point, run_case=run_case, choose=choose, finish=finish)
