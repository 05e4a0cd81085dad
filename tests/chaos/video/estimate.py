"""What scenarios cost live, and what a user is told of it before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chaos.evidence.bills import Billing, Mode, SuiteEstimate
from chaos.evidence.spec import WorkflowSpec, cost_usd
from chaos.experiment.lab import Options
from chaos.experiment.scenario import Scenario, in_mode
from chaos.report.table import aligned, usd
from tests.chaos.video.live_api import LiveApi, LiveError, default_models
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO


def estimate_usd(scenario: Scenario, options: Options, billing: Billing) -> Decimal:
    """What its live cases cost, with what their faults may make them pay for in vain."""
    return sum(
        (
            cost_usd(spec, billing) + _at_risk_usd(spec, billing)
            for case in in_mode(scenario, Mode.LIVE).cases
            for spec in case.load(options)
        ),
        Decimal(0),
    )


def suite_estimate_usd(
    scenarios: Sequence[Scenario], options: Options, billing: Billing
) -> Decimal:
    """What all of them cost together."""
    return sum((estimate_usd(each, options, billing) for each in scenarios), Decimal(0))


def require_affordable(chosen: Sequence[Scenario], options: Options, live: LiveApi) -> None:
    """Raises LiveError where all is expected to cost more than the budget."""
    estimate = suite_estimate_usd(chosen, options, live.billing)
    if estimate > live.budget_usd:
        raise LiveError(
            f"these scenarios are expected to cost {usd(estimate)} with {live.models}, more than "
            f"the budget of {usd(live.budget_usd)}: choose fewer with -k, set a cheaper "
            "GEMINI_VIDEO_MODEL, or raise --budget."
        )


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


def suite_estimates(
    scenarios: Sequence[Scenario], options: Options, live: LiveApi | None
) -> tuple[SuiteEstimate, ...]:
    """At the reference prices, and at those of today's models: the user's, or the default ones."""
    models, billing = (live.models, live.billing) if live else default_models()
    named = (("the reference models, at the prices of 2025-10", VIDEO.billing), (models, billing))
    return tuple(
        SuiteEstimate(models=models, usd=suite_estimate_usd(scenarios, options, billing))
        for models, billing in named
    )


def _at_risk_usd(spec: WorkflowSpec, billing: Billing) -> Decimal:
    at_risk = [item for item, prompt in spec.due if prompt in spec.may_be_charged_twice]
    return sum((billing.prices_usd[item] for item in at_risk), Decimal(0))


def estimates(live: LiveApi | None = None) -> tuple[SuiteEstimate, ...]:
    """Of all scenarios of the video system."""
    return suite_estimates(all_scenarios(), Options(), live)
