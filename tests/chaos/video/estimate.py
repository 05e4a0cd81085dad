"""What scenarios cost live, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chaos.evidence.bills import Billing, Mode, SuiteEstimate
from chaos.evidence.spec import WorkflowSpec, cost_usd
from chaos.experiment.lab import Options
from chaos.experiment.scenario import Scenario, in_mode
from tests.chaos.video.live_api import LiveApi, default_models
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO


def estimate_usd(scenario: Scenario, options: Options, billing: Billing) -> Decimal:
    """What its live cases cost, with what their faults may make them pay for in vain."""
    return sum(
        (
            cost_usd(asked, billing) + _at_risk_usd(asked, billing)
            for case in in_mode(scenario, Mode.LIVE).cases
            for asked in case.load(options)
        ),
        Decimal(0),
    )


def suite_estimate_usd(
    scenarios: Sequence[Scenario], options: Options, billing: Billing
) -> Decimal:
    """What all of them cost together."""
    return sum((estimate_usd(each, options, billing) for each in scenarios), Decimal(0))


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


def _at_risk_usd(asked: WorkflowSpec, billing: Billing) -> Decimal:
    at_risk = [item for item, prompt in asked.due if prompt in asked.may_be_charged_twice]
    return sum((billing.prices_usd[item] for item in at_risk), Decimal(0))


def estimates(live: LiveApi | None = None) -> tuple[SuiteEstimate, ...]:
    """Of all scenarios of the video system."""
    return suite_estimates(all_scenarios(), Options(), live)
