from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chaos.evidence.journal import Event, read_journal
from chaos.experiment.events import Billed, Finished, Journaled, Message, Stage, WorkflowEnded
from chaos.invariants.verdict import Verdict
from chaos.plugin.view.state import REMARKS_KEPT, State
from tests.unit.chaos.plugin.view.story import (
    ONE,
    case,
    fault,
    healed,
    journaled,
    judged,
    reached,
    state_of,
    timed,
)

EVIDENCE = Path(__file__).parents[4] / "data" / "evidence"


def _faults(state: State) -> list[tuple[str, str, float]]:
    return [(f.kind, f.target, f.since_seconds) for f in state.cases[ONE].faults]


def test_a_case_waits_until_its_turn_has_come_and_its_time_begins_then() -> None:
    waiting = state_of([case()])
    starting = state_of([case()], reached(7, Stage.STARTING), reached(9, Stage.RUNNING))

    assert (waiting.cases[ONE].stage, waiting.cases[ONE].began_seconds) == (Stage.WAITING, None)
    assert (starting.cases[ONE].stage, starting.cases[ONE].began_seconds) == (Stage.RUNNING, 7)


def test_a_fault_is_active_from_its_injection_until_it_is_healed() -> None:
    story = [fault(5, "half_open", "worker-1>api")]
    assert _faults(state_of([case()], *story)) == [("half_open", "worker-1>api", 5)]

    assert _faults(state_of([case()], *story, healed(9, "worker-2>api"))) != []
    assert _faults(state_of([case()], *story, healed(9, "worker-1>api"))) == []


def test_of_two_lasting_faults_at_one_target_the_older_is_healed_first() -> None:
    state = state_of(
        [case()],
        fault(5, "status", "fake-api"),
        fault(6, "reset", "fake-api"),
        healed(7, "fake-api"),
    )

    assert _faults(state) == [("reset", "fake-api", 6)]


def test_a_kill_is_over_when_a_later_victim_is_healed() -> None:
    kills = [fault(3, "kill", "worker-1"), fault(45, "kill", "worker-2")]
    assert len(_faults(state_of([case()], *kills))) == 2

    assert _faults(state_of([case()], *kills, healed(85, "worker-2"))) == []


def test_a_kill_after_that_of_the_server_outlasts_the_servers_return() -> None:
    kills = [fault(3, "kill", "temporal-server"), fault(4, "kill", "fleet-1-worker")]
    state = state_of([case()], *kills, healed(8, "temporal-server"))

    assert _faults(state) == [("kill", "fleet-1-worker", 4)]


def test_no_fault_outlasts_its_experiment() -> None:
    state = state_of([case()], fault(3, "bad_api", "fake-api"), journaled(9, Event.ENDING))

    assert _faults(state) == []


@pytest.mark.parametrize("journal", sorted(EVIDENCE.glob("*/*/journal.jsonl")), ids=str)
def test_the_journal_of_every_kept_run_can_be_told(journal: Path) -> None:
    entries = read_journal(journal)
    state = state_of([case()], *(timed(n, Journaled(ONE, e)) for n, e in enumerate(entries)))

    faults = [(e.kind, e.target) for e in entries if e.event is Event.FAULT]
    assert {(f.kind, f.target) for f in state.cases[ONE].faults} <= set(faults)
    assert [r.text for r in state.remarks if not r.is_bad] == [
        f"{kind} at {target}" for kind, target in faults
    ][-REMARKS_KEPT:]
    assert state.cases[ONE].started == {e.workflow_id for e in entries if e.event is Event.WORKFLOW}


def test_a_workflow_that_is_started_again_has_not_ended() -> None:
    started = journaled(3, Event.WORKFLOW, workflow_id="w")
    ended = timed(5, WorkflowEnded(ONE, "w"))

    assert state_of([case()], started, ended, ended).cases[ONE].ended == {"w"}
    assert state_of([case()], started, ended, started).cases[ONE].ended == set()


def test_workflows_beyond_the_plan_are_counted() -> None:
    started = [journaled(3, Event.WORKFLOW, workflow_id=f"w-{n}") for n in range(3)]

    assert state_of([case(workflows=5)], *started).cases[ONE].workflows == 5
    assert state_of([case(workflows=2)], *started).cases[ONE].workflows == 3


def test_the_newest_note_is_kept_and_so_is_the_bill() -> None:
    state = state_of(
        [case()],
        journaled(3, Event.STAGE, text="worker-1 is ready"),
        journaled(4, Event.SIGNALED, text="SIGKILL to worker-1"),
        timed(5, Billed(ONE, Decimal("0.039"))),
        timed(6, Billed(ONE, Decimal("1.278"))),
    )

    assert state.cases[ONE].note == "SIGKILL to worker-1"
    assert state.cases[ONE].billed_usd == Decimal("1.278")


def test_faults_troubles_and_bad_verdicts_are_remarked_and_a_pass_is_not() -> None:
    state = state_of(
        [case()],
        timed(0, Message("temporal", "building temporal v1.5.1 from source")),
        fault(3, "kill", "worker-1"),
        journaled(4, Event.STAGE, text="worker-2 is ready"),
        journaled(5, Event.TROUBLE, text="worker-2 ended"),
        timed(6, Finished("retry_config", Verdict.PASSED, "18 checks hold")),
        timed(7, Finished("worker_crash", Verdict.UNKNOWN, "worker-2 ended")),
    )

    assert [(r.about, r.text, r.is_bad) for r in state.remarks] == [
        ("temporal", "building temporal v1.5.1 from source", False),
        ("worker_crash", "kill at worker-1", False),
        ("worker_crash", "worker-2 ended", True),
        ("worker_crash", "unknown: worker-2 ended", True),
    ]


def test_only_the_newest_remarks_are_kept() -> None:
    state = state_of([case()], *(fault(n, "kill", f"worker-{n}") for n in range(100)))

    assert len(state.remarks) == REMARKS_KEPT
    assert state.remarks[-1].text == "kill at worker-99"


def test_a_verdict_ends_a_case() -> None:
    state = state_of(
        [case()], fault(3, "kill", "worker-1"), judged(9, Verdict.FAILED, reason="why")
    )

    ended = state.cases[ONE]
    assert (ended.verdict, ended.reason, ended.ended_seconds) == (Verdict.FAILED, "why", 9)
    assert ended.faults == ()
