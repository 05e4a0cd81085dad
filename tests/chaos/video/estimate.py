"""What scenarios cost live, before anything is sent, and which of their cases run at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from chaos.environment.temporal import Topology
from chaos.evidence.billing import REFERENCE, Billing, Mode
from chaos.evidence.case import Expectation, ideal_cost_usd
from chaos.experiment.lab import Options
from chaos.experiment.scenario import Scenario
from tests.chaos.video.fake_api.ledger import Usd
from tests.chaos.video.live_api import LiveApi, default_models


class SuiteEstimate(BaseModel):
    """What all live cases of the whole suite cost with some models."""

    model_config = ConfigDict(frozen=True)

    models: str
    usd: Usd


def in_mode(scenario: Scenario, mode: Mode) -> Scenario:
    """The scenario with the cases that run in a mode; another system pays no API that is known."""
    kept = [
        case
        for case in scenario.cases
        if mode in case.modes and not (mode is Mode.LIVE and case.stack.system)
    ]
    return replace(scenario, cases=tuple(kept))


def on_topology(scenario: Scenario, topology: Topology) -> Scenario:
    """The scenario with the cases that run on a topology."""
    kept = tuple(case for case in scenario.cases if topology in case.topologies)
    return replace(scenario, cases=kept)


def estimate_usd(scenario: Scenario, options: Options, billing: Billing) -> Decimal:
    """What its live cases cost, with what their faults may make them pay for in vain."""
    return sum(
        (
            ideal_cost_usd(asked, billing) + _at_risk_usd(asked, billing)
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
    named = (("the reference models, at the prices of 2025-10", REFERENCE), (models, billing))
    return tuple(
        SuiteEstimate(models=models, usd=suite_estimate_usd(scenarios, options, billing))
        for models, billing in named
    )


def _at_risk_usd(asked: Expectation, billing: Billing) -> Decimal:
    at_risk = [item for item, prompt in asked.ideal if prompt in asked.may_be_billed_twice]
    return sum((billing.prices_usd[item] for item in at_risk), Decimal(0))
