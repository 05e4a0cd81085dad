from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.evidence.bills import InDoubt
from chaos.evidence.case import Evidence
from chaos.experiment.judge import judge
from chaos.experiment.results import (
    CaseResult,
    CheckResult,
    Overall,
    RunResult,
    ScenarioResult,
    case_result,
    scenario_result,
)
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.verdict import Verdict
from chaos.report.files import markdown, write_reports
from chaos.report.table import overall_line, schedule_lines, table_lines, usd
from tests.chaos.video.scenarios.catalogue import all_scenarios
from workflows.policies import HEARTBEAT_TIMEOUT

SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}


def _case(scenario: Scenario, evidence: Evidence, number: int = 0) -> CaseResult:
    return _of(scenario.cases[number], evidence)


def _of(case: Case, evidence: Evidence) -> CaseResult:
    findings = judge(case, evidence)
    return case_result(
        case, evidence, findings, root=evidence.folder.parents[1], duration_s=12.3456
    )


@pytest.fixture
def crashed(worker_crash: Evidence) -> ScenarioResult:
    scenario = SCENARIOS["worker_crash"]
    return scenario_result(scenario, [_case(scenario, worker_crash)])


@pytest.fixture
def run(crashed: ScenarioResult, concurrency: Evidence) -> RunResult:
    scenario = SCENARIOS["concurrency"]
    red = _case(scenario, concurrency).model_copy(
        update={"verdict": Verdict.FAILED, "reason": "it <broke>"}
    )
    return RunResult(
        run_id="2026-01-02T03-04-05Z",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        versions={"python": "3.11"},
        scenarios=(crashed, scenario_result(scenario, [red])),
        overall=Overall(passed=1, total=2),
    )


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("1.239", "$1.24"),
        ("3.639", "$3.64"),
        ("6.195", "$6.20"),
        ("2.439", "$2.44"),
        ("0", "$0.00"),
    ],
)
def test_the_reference_amounts_are_shown_as_required(amount: str, shown: str) -> None:
    assert usd(Decimal(amount)) == shown


def test_a_scenario_has_the_fields_of_the_contract(crashed: ScenarioResult) -> None:
    found = json.loads(crashed.model_dump_json())

    assert found["cost_usd"] == "1.278"
    assert found["ideal_cost_usd"] == "1.239"
    assert found["billed"] == {"image": 2, "video": 1}
    assert found["status"] == "complete"
    assert found["verdict"] == "passed"
    assert found["duration_s"] == 12.346
    assert found["fault"]["kind"] == "kill"
    assert found["fault"]["hit"] is True
    assert set(found["recovery_s"]) == {
        *("total", "detect", "reschedule", "restart", "redo", "bound"),
    }
    assert found["workflows"][0]["status"] == "completed"
    assert found["workflows"][0]["history"].endswith("/histories/crash-single.run-1.json")


def test_the_parts_of_a_recovery_add_up(crashed: ScenarioResult) -> None:
    recovery = crashed.recovery_s

    assert recovery
    assert recovery.reschedule == 10.0
    assert 0 < recovery.detect <= HEARTBEAT_TIMEOUT.total_seconds()
    parts = (recovery.detect, recovery.reschedule, recovery.restart, recovery.redo)
    assert recovery.total == pytest.approx(sum(parts))


def test_a_recovery_has_a_bound_only_where_the_case_is_judged_by_it(worker_crash: Evidence) -> None:
    case = SCENARIOS["worker_crash"].cases[0]
    kept_away = replace(
        case, invariants=[each for each in case.invariants if each is not recovers_within_its_bound]
    )
    bounds = [
        {each.recovery_s.bound for each in found.faults if each.recovery_s}
        for found in (
            _of(case, worker_crash),
            _of(kept_away, worker_crash),
        )
    ]

    assert math.inf not in bounds[0]
    assert bounds[1] == {math.inf}


def test_a_result_without_a_bound_can_be_read_again(crashed: ScenarioResult) -> None:
    assert crashed.recovery_s
    endless = crashed.recovery_s.model_copy(update={"bound": math.inf})
    written = crashed.model_copy(update={"recovery_s": endless}).model_dump_json()

    assert json.loads(written)["recovery_s"]["bound"] is None
    assert ScenarioResult.model_validate_json(written).recovery_s == endless


def test_both_kills_have_their_own_recovery(crashed: ScenarioResult) -> None:
    first, second = crashed.cases[0].faults

    assert first.recovery_s
    assert second.recovery_s
    assert first.recovery_s != second.recovery_s


def test_a_load_is_held_against_its_ideal(concurrency: Evidence) -> None:
    load = _case(SCENARIOS["concurrency"], concurrency).load

    assert load
    assert load.workflows == 5
    assert load.ideal_s == pytest.approx(load.work_s / 3, abs=0.001)
    assert load.wall_s >= load.ideal_s


def test_of_a_target_without_known_slots_no_load_is_told(concurrency: Evidence) -> None:
    scenario = SCENARIOS["concurrency"]
    (case, *_) = scenario.cases
    unknown = replace(case, target=replace(case.target, slots=None))

    assert _case(replace(scenario, cases=(unknown,)), concurrency).load is None


def test_the_checks_that_prove_the_fault_are_named_as_such(crashed: ScenarioResult) -> None:
    (case,) = crashed.cases
    proofs = [check.check for check in case.checks if check.is_proof]

    assert proofs == [
        "killed_during_request[worker-1]",
        "killed_during_render[worker-2]",
        "faults_met_work",
    ]
    assert [check.is_proof for check in case.checks[len(proofs) :]] == [False] * (
        len(case.checks) - len(proofs)
    )


def test_results_that_an_older_version_wrote_name_no_proofs(crashed: ScenarioResult) -> None:
    (check, *_) = crashed.cases[0].checks
    older = check.model_dump_json(exclude={"is_proof"})

    assert check.is_proof
    assert not CheckResult.model_validate_json(older).is_proof


def test_results_tell_of_what_is_in_doubt_and_keep_the_targets_own_key(
    worker_crash: Evidence, crashed: ScenarioResult
) -> None:
    (doubt,) = worker_crash.in_doubt
    (told,) = json.loads(crashed.model_dump_json())["ambiguous"]

    assert told.keys() == InDoubt.model_fields.keys()
    assert doubt.key not in json.dumps(told)
    assert ScenarioResult.model_validate_json(crashed.model_dump_json()) == crashed


def test_the_table_is_markdown_with_aligned_columns(run: RunResult) -> None:
    lines = table_lines(run)

    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("| Test ")
    assert "| 1. Worker Crash Recovery | Complete | 12.3 s " in lines[2]
    assert lines[2].endswith("| PASSED    |")
    assert lines[3].endswith("| FAILED    |")
    assert overall_line(run) == "OVERALL: 1/2 tests passed"


def test_reports_are_written_and_latest_points_at_them(run: RunResult, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_reports(run, tmp_path / name)

    latest = tmp_path / "latest"
    assert latest.resolve().name == "second"
    assert json.loads((latest / "results.json").read_text())["schema"] == 1
    assert (latest / "results.md").read_text() == markdown(run)
    names = {file.name for file in latest.iterdir()}
    assert {"junit.xml", "results.json", "results.md", "summary.md"} <= names


def test_schedules_from_a_seed_have_a_line_each_and_no_number(run: RunResult) -> None:
    (first, *_) = run.scenarios
    drawn = first.model_copy(update={"number": 0, "title": "Seeded Schedules"})
    seeded = run.model_copy(update={"seed": 7, "scenarios": (drawn,)})

    assert schedule_lines(run) == []
    assert schedule_lines(seeded) == [
        "sigkill_twice: passed, 2 faults, 1 workflows, $1.28 of an ideal $1.24, 12.3 s"
    ]
    assert table_lines(seeded)[2].startswith("| Seeded Schedules |")
    assert "- sigkill_twice: passed" in markdown(seeded)
