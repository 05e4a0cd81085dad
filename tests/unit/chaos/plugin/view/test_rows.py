from __future__ import annotations

from decimal import Decimal

from chaos.evidence.journal import Event
from chaos.experiment.events import Billed, CaseName, Stage, TimedEvent, WorkflowEnded
from chaos.invariants.verdict import Verdict
from chaos.plugin.view.rows import Row, rows_of, total_of
from tests.unit.chaos.plugin.view.story import (
    ONE,
    ONE_VIDEO_USD,
    alone,
    case,
    fault,
    journaled,
    judged,
    reached,
    state_of,
    timed,
)

KILLED, PAUSED, QUIET = (CaseName("fleet", case) for case in ("killed", "paused", "quiet"))


def _fleet(*events: TimedEvent) -> Row:
    """The row of a scenario with three cases, beside another one."""
    fleet, _ = rows_of(state_of([case(KILLED), case(PAUSED), case(QUIET), case()], *events))
    return fleet


def test_a_row_tells_of_the_case_that_is_struck() -> None:
    row = _fleet(
        reached(1, Stage.RUNNING, KILLED),
        journaled(2, Event.STAGE, KILLED, text="worker-1 is ready"),
        reached(3, Stage.RUNNING, PAUSED),
        fault(4, "pause", "worker-2", PAUSED),
        journaled(5, Event.STAGE, PAUSED, text="it sleeps"),
        reached(6, Stage.STARTING, QUIET),
    )

    assert row.now == "paused: it sleeps"
    assert (row.fault.kind, row.fault.target) if row.fault else None == ("pause", "worker-2")
    assert (row.cases, row.is_open, row.verdict) == ("0/3", True, None)


def test_without_a_fault_it_tells_of_the_case_whose_experiment_goes_on() -> None:
    row = _fleet(
        reached(1, Stage.CONVERGING, KILLED),
        reached(3, Stage.RUNNING, PAUSED),
        reached(6, Stage.STARTING, QUIET),
    )

    assert (row.now, row.fault) == ("paused: running", None)


def test_it_counts_the_faults_beside_the_one_that_is_shown() -> None:
    faults = [fault(n, "kill", "fleet-1-worker", KILLED) for n in range(3)]

    assert _fleet(*faults).more_faults == 2
    assert _fleet(*faults, fault(9, "pause", "worker-1", PAUSED)).more_faults == 3


def test_while_all_wait_it_waits() -> None:
    row = _fleet()

    assert (row.now, row.is_waiting, row.cases) == ("waiting", True, "0/3")


def test_a_failure_is_known_before_the_last_case_has_ended_and_a_pass_is_not() -> None:
    running = reached(1, Stage.RUNNING, PAUSED)

    assert _fleet(running, judged(5, Verdict.FAILED, KILLED)).verdict is Verdict.FAILED
    assert _fleet(running, judged(5, Verdict.UNKNOWN, KILLED)).verdict is Verdict.UNKNOWN
    assert _fleet(running, judged(5, Verdict.PASSED, KILLED)).verdict is None


def test_when_all_have_ended_the_gravest_verdict_stands_with_its_reason() -> None:
    row = _fleet(
        reached(1, Stage.STARTING, KILLED),
        judged(5, Verdict.PASSED, KILLED),
        judged(7, Verdict.FAILED, PAUSED, "billed twice"),
        judged(6, Verdict.UNKNOWN, QUIET, "not hit"),
    )

    assert (row.now, row.verdict, row.is_open) == ("failed: billed twice", Verdict.FAILED, False)
    assert (row.began_seconds, row.ended_seconds, row.cases) == (1, 7, "3/3")


def test_of_one_scenario_alone_each_case_has_a_row() -> None:
    rows = rows_of(state_of([case(KILLED), case(PAUSED)], judged(5, Verdict.PASSED, KILLED)))

    assert [(row.name, row.now, row.cases) for row in rows] == [
        ("killed", "passed", ""),
        ("paused", "waiting", ""),
    ]


def test_a_single_case_alone_is_called_by_its_scenario() -> None:
    assert [row.name for row in rows_of(state_of([case()]))] == ["worker_crash"]


def test_figures_are_summed_without_those_of_a_control() -> None:
    control = CaseName("fleet", "control")
    state = state_of(
        [case(KILLED, workflows=3), case(control, control=True, workflows=2), case()],
        timed(1, WorkflowEnded(KILLED, "a")),
        timed(1, WorkflowEnded(control, "b")),
        timed(1, WorkflowEnded(ONE, "c")),
        timed(2, Billed(KILLED, Decimal("1.2"))),
        timed(2, Billed(control, Decimal(100))),
        timed(2, Billed(ONE, Decimal("0.039"))),
    )

    assert total_of(rows_of(state)) == (2, 4, Decimal("1.239"), 4 * ONE_VIDEO_USD)


def test_rows_keep_the_order_of_the_plan() -> None:
    names = alone("b", "a", "c")
    state = state_of([case(name) for name in names], judged(1, Verdict.FAILED, names[2]))

    assert [row.name for row in rows_of(state)] == ["b", "a", "c"]
