from __future__ import annotations

from pathlib import Path

import pytest

from chaos.evidence import Evidence
from chaos.judge import judge, reason_of, verdict_of
from chaos.scenarios import COMMON, Scenario
from chaos.scenarios.catalogue import all_scenarios
from chaos.verdict import Verdict

EVIDENCE = Path(__file__).parents[2] / "data" / "evidence"
NAMES = ["worker_crash", "retry_config", "server_restart", "checkpoint", "concurrency"]


def test_the_five_scenarios_come_in_their_order() -> None:
    assert [(s.number, s.name) for s in all_scenarios()] == list(enumerate(NAMES, start=1))


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda s: s.name)
def test_every_case_proves_its_fault_and_asks_for_all_common_invariants(
    scenario: Scenario,
) -> None:
    for case in scenario.cases:
        assert case.proofs
        assert case.must_fail or set(COMMON) <= set(case.invariants)


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda s: s.name)
def test_the_kept_evidence_is_judged_as_passed(
    scenario: Scenario, request: pytest.FixtureRequest
) -> None:
    findings = judge(scenario.cases[0], request.getfixturevalue(scenario.name))

    assert verdict_of(findings) is Verdict.PASSED, reason_of(findings)


def test_the_kept_control_is_judged_as_passed(control: Evidence) -> None:
    (restart,) = (s for s in all_scenarios() if s.name == "server_restart")

    assert verdict_of(judge(restart.cases[2], control)) is Verdict.PASSED


def test_the_kept_blows_at_a_cluster_are_judged_as_passed(each_role: Evidence) -> None:
    (restart,) = (s for s in all_scenarios() if s.name == "server_restart")

    assert verdict_of(judge(restart.cases[4], each_role)) is Verdict.PASSED


def test_the_kept_evidence_names_no_path_of_a_machine() -> None:
    histories = list(EVIDENCE.rglob("histories/*.json"))

    assert len(histories) >= 10
    assert not [file for file in histories if "site-packages" in file.read_text()]
