"""What a live run of the suite will cost, told before anything is sent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import SecretStr

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Billing, Mode
from chaos.experiment.lab import Options
from chaos.experiment.scenario import Scenario, in_mode, on_topology
from tests.chaos.video.estimate import estimate_usd, suite_estimate_usd, suite_estimates
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.live_api import LiveApi
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO
from workflows.settings import Settings

SUITE = all_scenarios()
SCENARIOS = {scenario.name: scenario for scenario in SUITE}
IMAGE_USD, SINGLE_USD, SERIES_USD = Decimal("0.039"), Decimal("1.239"), Decimal("3.639")
"""The required prices: of a character, of it and a video, of it and three videos."""


def _prices(image: str, video: str) -> Billing:
    prices_usd = {Item.IMAGE: Decimal(image), Item.VIDEO: Decimal(video)}
    return Billing(mode=Mode.LIVE, prices_usd=prices_usd)


def test_the_suite_costs_what_the_reference_runs_did() -> None:
    assert suite_estimate_usd(SUITE, Options(), VIDEO.billing) == Decimal("12.351")


@pytest.mark.parametrize(
    ("name", "usd"),
    [
        ("worker_crash", SINGLE_USD + IMAGE_USD),  # the image in flight may be paid for twice
        ("retry_config", Decimal(0)),
        ("server_restart", SINGLE_USD),
        ("checkpoint", SERIES_USD),
        ("concurrency", 5 * SINGLE_USD),
    ],
)
def test_each_scenario_costs_what_its_live_cases_ask_for(name: str, usd: Decimal) -> None:
    assert estimate_usd(SCENARIOS[name], Options(), VIDEO.billing) == usd


@pytest.mark.parametrize(("image", "video", "usd"), [("1", "0", "9"), ("0", "1", "10")])
def test_nine_images_one_of_them_in_vain_and_ten_videos_are_paid_for(
    image: str, video: str, usd: str
) -> None:
    assert suite_estimate_usd(SUITE, Options(), _prices(image, video)) == Decimal(usd)


@pytest.mark.parametrize(("workflows", "usd"), [(1, "7.395"), (6, "13.590"), (100, "130.056")])
def test_each_workflow_more_costs_a_single_more(workflows: int, usd: str) -> None:
    assert suite_estimate_usd(SUITE, Options(workflows=workflows), VIDEO.billing) == Decimal(usd)


@pytest.mark.parametrize("scenario", SUITE, ids=lambda s: s.name)
def test_every_scenario_has_a_mocked_case(scenario: Scenario) -> None:
    assert in_mode(scenario, Mode.MOCKED).cases


def test_the_five_first_are_paid_for_in_a_live_run() -> None:
    assert [s.number for s in SUITE if in_mode(s, Mode.LIVE).cases] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (
            Mode.MOCKED,
            [
                "policy_and_behaviour",
                *("sigkill", "sigterm", "control_in_memory", "long_outage", "each_role"),
            ],
        ),
        (Mode.LIVE, ["wrong_key", "sigkill"]),
    ],
)
def test_only_the_cases_of_a_mode_are_kept(mode: Mode, names: list[str]) -> None:
    chosen = [in_mode(SCENARIOS[name], mode) for name in ("retry_config", "server_restart")]

    assert [case.name for scenario in chosen for case in scenario.cases] == names


@pytest.mark.parametrize(
    ("topology", "names"),
    [
        (Topology.DEV, ["sigkill", "sigterm", "control_in_memory", "long_outage"]),
        (Topology.POSTGRES, ["each_role"]),
        (Topology.EXTERNAL, []),
    ],
)
def test_servers_are_struck_only_where_they_are_ours(topology: Topology, names: list[str]) -> None:
    kept = on_topology(SCENARIOS["server_restart"], topology)

    assert [case.name for case in kept.cases] == names


@pytest.mark.parametrize("topology", Topology)
@pytest.mark.parametrize("name", ["worker_crash", "retry_config", "checkpoint", "concurrency"])
def test_the_others_of_the_five_first_run_on_each_topology(name: str, topology: Topology) -> None:
    assert on_topology(SCENARIOS[name], topology).cases == SCENARIOS[name].cases


def test_live_no_two_workflows_share_an_id_for_they_share_a_payment_journal() -> None:
    ids = [
        spec.workflow_id
        for scenario in SUITE
        for case in in_mode(scenario, Mode.LIVE).cases
        for spec in case.load(Options(workflows=1000))
    ]

    assert len(ids) > 1000
    assert sorted(set(ids)) == sorted(ids)


def test_the_suite_is_told_at_the_reference_prices_and_at_those_of_today() -> None:
    reference, today = suite_estimates(SUITE, Options(), live=None)

    assert (reference.models, reference.usd) == (
        "the reference models, at the prices of 2025-10",
        Decimal("12.351"),
    )
    assert (today.models, today.usd) == (
        "gemini-3.1-flash-image and veo-3.1-fast-generate-preview (4 s, 720p)",
        Decimal("4.603"),
    )


def test_the_users_own_models_stand_in_place_of_the_default_ones() -> None:
    settings = Settings.model_construct(
        gemini_api_key=SecretStr("a-key"), gemini_video_model="veo-3.1-lite-generate-preview"
    )
    _, own = suite_estimates(SUITE, Options(), LiveApi(settings, Decimal(15)))

    assert own.models == "gemini-3.1-flash-image and veo-3.1-lite-generate-preview (4 s, 720p)"
    assert own.usd == Decimal("2.603")
