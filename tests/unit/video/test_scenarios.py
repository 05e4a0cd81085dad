from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

from chaos.experiment.judge import judge, reason_of, verdict_of
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants.verdict import Verdict
from tests.chaos.video import scenarios
from tests.chaos.video.case import COMMON
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.unit.kept import EVIDENCE, kept

FIRST = ["worker_crash", "retry_config", "server_restart", "checkpoint", "concurrency"]
KEPT = sorted(
    (folder.parent.parent.name, folder.parent.name)
    for folder in EVIDENCE.glob("*/*/journal.jsonl")
    if folder.parent.parent.name != "seeded"  # tests/unit/chaos/search/ judges it
)


def _case(scenario: str, name: str) -> Case:
    (found,) = (c for s in all_scenarios() if s.name == scenario for c in s.cases if c.name == name)
    return found


def test_the_five_first_scenarios_come_first_and_all_are_numbered_in_order() -> None:
    assert [s.name for s in all_scenarios()][:5] == FIRST
    assert [s.number for s in all_scenarios()] == list(range(1, len(all_scenarios()) + 1))


def test_each_file_is_in_the_catalogue_by_its_scenarios_name() -> None:
    files = {module.name for module in pkgutil.iter_modules(scenarios.__path__)}

    assert {s.name for s in all_scenarios()} == {
        f for f in files if f != "catalogue" and not f.endswith(("_checks", "_deploys"))
    }


def test_the_documentation_has_each_scenario_in_the_same_order() -> None:
    document = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text()

    assert re.findall(r"^\| `(\w+)` \|", document, re.MULTILINE) == [
        s.name for s in all_scenarios()
    ]


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda s: s.name)
def test_every_case_proves_its_fault_and_asks_for_all_common_invariants(
    scenario: Scenario,
) -> None:
    """By their names: after a deploy, histories replay with the code that was deployed."""
    common = {check.name for check in COMMON}
    for case in scenario.cases:
        assert case.proofs
        assert case.must_fail or common <= {check.name for check in case.invariants}


@pytest.mark.parametrize(("scenario", "case"), KEPT, ids="/".join)
def test_the_kept_evidence_is_judged_as_passed(scenario: str, case: str) -> None:
    findings = judge(_case(scenario, case), kept(scenario, case))

    assert verdict_of(findings) is Verdict.PASSED, reason_of(findings)


def test_evidence_is_kept_of_the_five_first_scenarios() -> None:
    assert {scenario for scenario, _ in KEPT} >= set(FIRST)


def test_the_kept_evidence_names_no_path_of_a_machine() -> None:
    histories = list(EVIDENCE.rglob("histories/*.json"))

    assert len(histories) >= 10
    assert not [file for file in histories if "site-packages" in file.read_text()]
