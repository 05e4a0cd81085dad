"""What a report says of where a run was, what did not run there, and each fault at a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.environment.roles import CLUSTER_TARGETS
from chaos.environment.temporal import Topology
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.experiment.judge import judge
from chaos.experiment.results import (
    CaseResult,
    NotRun,
    Overall,
    RunResult,
    case_result,
    scenario_result,
)
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.recovery import recoveries
from chaos.report.files import markdown
from chaos.report.junit import junit
from chaos.report.table import (
    not_run_lines,
    overall_line,
    recovery_table_lines,
    table_lines,
    topology_lines,
)
from tests.chaos.video.scenarios.catalogue import all_scenarios

SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}
EACH_ROLE = SCENARIOS["server_restart"].cases[4]
ABSENT = NotRun(number=3, name="server_restart", title="Server Restart", reason="not ours")


def _case(evidence: Evidence) -> CaseResult:
    findings = judge(EACH_ROLE, evidence)
    return case_result(
        EACH_ROLE, evidence, findings, root=evidence.folder.parents[1], duration_s=24.0
    )


def _run(topology: Topology, *cases: CaseResult, not_run: tuple[NotRun, ...] = ()) -> RunResult:
    scenario = SCENARIOS["server_restart"]
    done = (scenario_result(scenario, list(cases)),) if cases else ()
    return RunResult(
        run_id="2026-01-02T03-04-05Z",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        topology=topology,
        versions={"server": "1.31.2"},
        scenarios=done,
        not_run=not_run,
        overall=Overall(passed=len(done), total=len(done), not_run=len(not_run)),
    )


def test_each_fault_has_its_recovery_and_repeated_nothing(each_role: Evidence) -> None:
    faults = _case(each_role).faults

    assert tuple(fault.target for fault in faults) == CLUSTER_TARGETS
    for fault in faults:
        assert fault.hit
        assert fault.repeated_attempts == 0
        assert fault.recovery_s
        assert 0 < fault.recovery_s.restart <= fault.recovery_s.total < 10
        parts = fault.recovery_s.restart + fault.recovery_s.redo
        assert fault.recovery_s.total == pytest.approx(parts)


def test_a_fault_that_was_never_reverted_has_no_recovery(each_role: Evidence) -> None:
    open_end = [e for e in each_role.journal if e.event is not Event.HEALED]
    evidence = replace(each_role, journal=open_end)

    assert recoveries(evidence) == {}
    assert "not seen" in recovery_table_lines(_run(Topology.POSTGRES, _case(evidence)))[2]


def test_an_attempt_that_a_fault_cost_is_counted_there_and_fails_the_case(
    each_role: Evidence, with_history: Callable[..., Evidence]
) -> None:
    def second_attempt(history: History) -> None:
        started = [
            event.activity_task_started_event_attributes
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        ]
        scheduled = {
            event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        }
        waits = [s for s in started if scheduled[s.scheduled_event_id] == "await_video"]
        waits[3].attempt = 2

    repeated = with_history(each_role, "roles-series", second_attempt)
    counts = {fault.target: fault.repeated_attempts for fault in _case(repeated).faults}

    assert counts.pop("temporal-matching") == 1
    assert set(counts.values()) == {0}
    assert attempts_are_as_expected.examine(repeated).problems


def test_the_faults_at_a_cluster_have_a_table_and_others_do_not(
    each_role: Evidence, worker_crash: Evidence
) -> None:
    table = recovery_table_lines(_run(Topology.POSTGRES, _case(each_role)))

    assert table[0].split("|")[1].strip() == "Killed"
    assert [line.split("|")[1].strip() for line in table[2:]] == list(CLUSTER_TARGETS)
    assert len({len(line) for line in table}) == 1
    assert "\n".join(table) in markdown(_run(Topology.POSTGRES, _case(each_role)))
    assert recovery_table_lines(_run(Topology.DEV, _case(worker_crash))) == []


@pytest.mark.parametrize(
    ("topology", "lines"),
    [
        (Topology.DEV, []),
        (Topology.POSTGRES, ["Topology: postgres, Temporal Server 1.31.2"]),
        (Topology.EXTERNAL, ["Topology: external, Temporal Server 1.31.2"]),
    ],
)
def test_the_topology_is_told_where_it_is_not_the_usual_one(
    topology: Topology, lines: list[str]
) -> None:
    assert topology_lines(_run(topology)) == lines


def test_a_scenario_that_did_not_run_is_in_no_count_and_in_every_report(
    each_role: Evidence,
) -> None:
    absent = ABSENT.model_copy(update={"number": 1, "name": "worker_crash", "title": "Crash"})
    run = _run(Topology.EXTERNAL, _case(each_role), not_run=(absent,))

    assert overall_line(run) == "OVERALL: 1/1 tests passed, 1 not run"
    assert not_run_lines(run) == ["worker_crash was not run: not ours"]
    first, second = table_lines(run)[2:]
    assert [cell.strip() for cell in first.split("|")[1:-1]] == [
        *("1. Crash", "Not run", "-", "-", "NOT RUN"),
    ]
    assert second.startswith("| 3. Server Restart")
    assert "worker_crash was not run: not ours" in markdown(run)
    assert json.loads(run.model_dump_json(by_alias=True))["not_run"] == [
        {"number": 1, "name": "worker_crash", "title": "Crash", "reason": "not ours"}
    ]
    suite = ET.fromstring(junit(run).encode())[0]  # noqa: S314 - our own text
    assert (suite.attrib["tests"], suite.attrib["skipped"]) == ("2", "1")
    skipped = [c.get("name") for c in suite if c.find("skipped") is not None]
    assert skipped == ["worker_crash"]
