"""What a user is told, and what must hold, before a live run may send anything."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from chaos.experiment.lab import Options
from chaos.experiment.scenario import Scenario
from chaos.report.table import aligned, usd
from tests.chaos.video.estimate import estimate_usd, suite_estimate_usd
from tests.chaos.video.live_api import LiveApi, LiveError, load_live_api

__all__ = ["LiveApi", "LiveError", "notice", "prepare"]


def prepare(
    chosen: Sequence[Scenario], options: Options, budget_usd: Decimal, folder: Path
) -> LiveApi:
    """The paid API as the user has set it. Raises LiveError where the run must not begin."""
    live = load_live_api(budget_usd, folder)
    estimate = suite_estimate_usd(chosen, options, live.billing)
    if estimate > budget_usd:
        raise LiveError(
            f"these scenarios are expected to cost {usd(estimate)} with {live.models}, more than "
            f"the budget of {usd(budget_usd)}: choose fewer with -k, set a cheaper "
            "GEMINI_VIDEO_MODEL, or raise --budget."
        )
    return live


def notice(chosen: Sequence[Scenario], options: Options, live: LiveApi) -> list[str]:
    """The estimate, scenario by scenario, and the budget."""
    costs = [(each.title, estimate_usd(each, options, live.billing)) for each in chosen]
    total = sum((cost for _, cost in costs), Decimal(0))
    rows = [(title, usd(cost)) for title, cost in costs]
    return [
        f"LIVE: this pays real money, with {live.models}.",
        *aligned([("Scenario", "Estimate"), *rows, ("Total", usd(total))]),
        f"Budget: {usd(live.budget_usd)}. A call that would pass it is not sent.",
    ]
