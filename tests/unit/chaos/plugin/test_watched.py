from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.evidence.journal import Event, read_journal
from chaos.experiment.events import CaseName, Journaled, RunEvent, Stage, WorkflowEnded
from chaos.invariants.verdict import Verdict
from chaos.plugin.watched import CaseState, Row, rows_of
from tests.unit.chaos.plugin.story import ONE, case, fault, healed, journaled, judged, reached
from tests.unit.chaos.plugin.story import state_of as told

EVIDENCE = Path(__file__).parents[3] / "data" / "evidence"
KILLED, PAUSED = CaseName("fleet", "killed"), CaseName("fleet", "paused")

Story = Sequence[tuple[float, RunEvent]]


def _faults(state: CaseState) -> list[tuple[str, str, float]]:
    return [(f.kind, f.target, f.since_seconds) for f in state.faults]


API, SERVER, WORKER = "fake-api", "temporal-server", "fleet-1-worker"


@pytest.mark.parametrize(
    ("story", "left"),
    [
        ([fault(5, "half_open", API)], [("half_open", API, 5)]),
        ([fault(5, "half_open", API), healed(9, "another")], [("half_open", API, 5)]),
        ([fault(5, "half_open", API), healed(9, API)], []),
        ([fault(5, "status", API), fault(6, "reset", API), healed(7, API)], [("reset", API, 6)]),
        ([fault(3, "kill", "w-1"), fault(45, "kill", "w-2"), healed(85, "w-2")], []),
        (
            [fault(3, "kill", SERVER), fault(4, "kill", WORKER), healed(8, SERVER)],
            [("kill", WORKER, 4)],
        ),
        ([fault(3, "bad_api", API), journaled(9, Event.ENDING)], []),
        ([fault(3, "bad_api", API), judged(9, Verdict.FAILED)], []),
    ],
    ids=[
        *("it is active", "another is healed", "it is healed", "the older is healed first"),
        *("a successor is there", "the server is back", "the experiment is over", "judged"),
    ],
)
def test_a_fault_is_active_until_it_is_reverted(
    story: Sequence[tuple[float, RunEvent]], left: list[object]
) -> None:
    assert _faults(told(case(), *story)) == left


@pytest.mark.parametrize("journal", sorted(EVIDENCE.glob("*/*/journal.jsonl")), ids=str)
def test_the_journal_of_every_kept_run_can_be_shown(journal: Path) -> None:
    entries = read_journal(journal)
    state = told(case(), *((n, Journaled(ONE, entry)) for n, entry in enumerate(entries)))

    assert state.started == {e.workflow_id for e in entries if e.event is Event.WORKFLOW}


def test_a_workflow_that_is_started_again_has_not_ended() -> None:
    started = journaled(3, Event.WORKFLOW, workflow_id="w")
    ended = (5.0, WorkflowEnded(ONE, "w"))

    assert told(case(), started, ended, ended).ended == {"w"}
    assert told(case(), started, ended, started).ended == set()


def test_workflows_beyond_the_plan_are_counted() -> None:
    started = [journaled(3, Event.WORKFLOW, workflow_id=f"w-{n}") for n in range(3)]

    assert told(case(workflows=5), *started).workflows == 5
    assert told(case(workflows=2), *started).workflows == 3


def test_a_second_try_begins_anew() -> None:
    first: Story = [
        reached(1, Stage.RUNNING),
        (2.0, WorkflowEnded(ONE, "w")),
        judged(3, Verdict.UNKNOWN),
    ]
    state = told(case(), *first, reached(9, Stage.STARTING))

    assert (state.verdict, state.ended, state.began_seconds) == (None, set(), 9)


def _fleet(*stories: Story) -> Row:
    """The row of a scenario with a case for each story, beside another scenario."""
    names = (KILLED, PAUSED)
    cases = [told(case(n), *story) for n, story in zip(names, stories, strict=True)]
    row, _ = rows_of([*cases, told(case())])
    return row


def test_a_row_shows_the_case_with_a_fault_else_the_one_whose_experiment_goes_on() -> None:
    ready = journaled(2, Event.STAGE, text="worker-1 is ready")
    pausing = reached(1, Stage.CONVERGING), fault(4, "pause", "worker-2")
    running = reached(1, Stage.RUNNING), ready

    assert _fleet(running, pausing).stage == "paused: converging"
    assert _fleet(running, pausing[:1]).stage == "killed: worker-1 is ready"
    assert _fleet([], []).stage == _fleet([], []).state == "waiting"


def test_a_failure_is_known_before_the_last_case_has_ended_and_a_pass_is_not() -> None:
    running = [reached(1, Stage.RUNNING)]

    assert _fleet([judged(5, Verdict.FAILED)], running).state == "failed"
    assert _fleet([judged(5, Verdict.UNKNOWN)], running).state == "unknown"
    assert _fleet([judged(5, Verdict.PASSED)], running).state == "running"


def test_when_all_cases_have_ended_the_gravest_verdict_stands_with_its_reason() -> None:
    failed: Story = [reached(1, Stage.RUNNING), judged(7, Verdict.FAILED, reason="billed twice")]
    row = _fleet((reached(2, Stage.RUNNING), judged(5, Verdict.UNKNOWN)), failed)

    assert (row.stage, row.seconds(99)) == ("failed: billed twice", 6)


def test_of_one_scenario_alone_each_case_has_a_row() -> None:
    rows = rows_of([told(case(KILLED), judged(5, Verdict.PASSED)), told(case(PAUSED))])

    assert [(row.name, row.stage) for row in rows] == [("killed", "passed"), ("paused", "waiting")]
    assert [row.name for row in rows_of([told(case())])] == ["worker_crash"]
