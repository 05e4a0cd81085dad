"""What a report says of where a run was, and of each fault at a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
    RunResult,
    case_result,
)
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.recovery import recoveries
from chaos.report.files import markdown
from chaos.report.table import (
    outcome,
    recovery_table_lines,
    topology_lines,
)
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.unit.chaos.report.made_runs import a_run, a_scenario

(EACH_ROLE,) = (s.cases[4] for s in all_scenarios() if s.name == "server_restart")


def _case(evidence: Evidence) -> CaseResult:
    findings = judge(EACH_ROLE, evidence)
    return case_result(
        EACH_ROLE, evidence, findings, root=evidence.folder.parents[1], duration_s=24.0
    )


def _run(topology: Topology, *cases: CaseResult) -> RunResult:
    return a_run(*(a_scenario("server_restart", case) for case in cases), topology=topology)


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


def test_the_topology_is_told_where_it_is_not_the_usual_one() -> None:
    assert topology_lines(_run(Topology.DEV)) == []
    assert ["Topology: external, Temporal Server 1.31.2"] in outcome(_run(Topology.EXTERNAL))
