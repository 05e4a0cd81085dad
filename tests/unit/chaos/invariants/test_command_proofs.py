"""By journals and histories made by hand: what a command of the user's is proven to have hit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo

from chaos.evidence.case import Evidence, Timings
from chaos.evidence.journal import Entry, Event
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.proofs import command_hit
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.recovery import met_work, recoveries
from chaos.invariants.recovery.faults import COMMAND, COMMAND_ENDED, COMMAND_PROOF
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.made_history import Made, at, evidence_of, refused

HIT, IDLE = "7@pod-1", "8@pod-2"
BEGUN, ENDED, PROVEN, HEALED = 5.0, 5.2, 5.5, 8.0
SILENCE = Failure(
    message="activity Heartbeat timeout",
    timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_HEARTBEAT),
)


def _order(
    *, attempt: int = 1, worker: str = HIT, failure: Failure | None = None, started: float = 2
) -> Made:
    """An activity from second 1 to 40, by the attempt that was its last."""
    made = Made()
    number = made.scheduled("charge_card", 1, heartbeat=15)
    begun = made.add("ACTIVITY_TASK_STARTED", started).activity_task_started_event_attributes
    begun.scheduled_event_id, begun.attempt, begun.identity = number, attempt, worker
    if failure:
        begun.last_failure.CopyFrom(failure)
    done = made.add("ACTIVITY_TASK_COMPLETED", 40).activity_task_completed_event_attributes
    done.scheduled_event_id = number
    return made.ended(seconds=41)


def _entry(seconds: float, event: Event, **fields: Any) -> Entry:
    return Entry(at=at(seconds), event=event, target="kubectl", **fields)


def _journal(
    workers: Sequence[str] = (), *, code: int | None = 0, proof: int | None = None
) -> list[Entry]:
    """A command that was begun, ended, was proven (unless None) and healed."""
    shown = [_entry(PROVEN, Event.STAGE, kind=COMMAND_PROOF, exit_code=proof, text="`get` said")]
    return [
        _entry(BEGUN, Event.FAULT, kind=COMMAND, identities=tuple(workers)),
        _entry(ENDED, Event.STAGE, kind=COMMAND_ENDED, exit_code=code),
        *(shown if proof is not None else []),
        _entry(HEALED, Event.HEALED),
    ]


def _evidence(made: Made, journal: Sequence[Entry], **options: Any) -> Evidence:
    return replace(evidence_of(made.workflow(), **options), journal=journal)


LOST = _order(attempt=2, worker=IDLE, failure=SILENCE, started=22)
FAILED = _order(attempt=2, failure=refused("it is away"), started=9)
UNDISTURBED = _order()


@pytest.mark.parametrize(
    ("made", "journal"),
    [
        (LOST, _journal()),
        (FAILED, _journal()),
        (LOST, _journal(proof=0)),
        (LOST, _journal(["pod-1"])),
        (UNDISTURBED, _journal(proof=0)),  # what else the proof shows, the histories need not
        (UNDISTURBED, _journal([HIT])),  # it may end in peace: a SIGTERM lets it finish
        (UNDISTURBED, _journal(["pod-1"], proof=0)),
    ],
)
def test_it_is_proven_by_an_attempt_or_by_its_proof_and_its_workers(
    made: Made, journal: Sequence[Entry]
) -> None:
    evidence = _evidence(made, journal)

    assert command_hit("kubectl").examine(evidence).problems == ()
    assert met_work(evidence, journal[0])


@pytest.mark.parametrize(
    ("made", "journal", "problem"),
    [
        (LOST, [], "no command kubectl was begun"),
        (LOST, _journal(code=1), "kubectl hit nothing: the command did not succeed"),
        (LOST, _journal()[:1], "kubectl hit nothing: the command did not succeed"),
        (LOST, _journal(proof=1), "kubectl hit nothing: its proof did not succeed: `get` said"),
        (UNDISTURBED, _journal([IDLE]), f"kubectl hit nothing: {IDLE} had nothing in flight"),
        (UNDISTURBED, _journal(["pod-2"], proof=0), "pod-2 had nothing in flight"),
        (UNDISTURBED, _journal(), "no attempt was lost or failed after it"),
    ],
)
def test_what_is_not_proven_is_unknown(made: Made, journal: Sequence[Entry], problem: str) -> None:
    finding = command_hit("kubectl").examine(_evidence(made, journal))

    assert finding.verdict is Verdict.UNKNOWN
    assert problem in finding.problems[0]


def test_a_proof_when_nothing_was_in_flight_shows_nothing() -> None:
    made = Made()
    made.done(made.scheduled("charge_card", 1), seconds=2).ended(seconds=3)

    finding = command_hit("kubectl").examine(_evidence(made, _journal(proof=0)))

    assert finding.problems == (
        "kubectl hit nothing: nothing was in flight when its proof succeeded",
    )


def test_an_idle_worker_is_no_victim_for_the_other_proof_either() -> None:
    journal = _journal([IDLE])

    assert not met_work(_evidence(UNDISTURBED, journal), journal[0])


def test_a_retry_is_explained_by_it() -> None:
    evidence = _evidence(LOST, _journal(["pod-1"]), attempts={"charge_card": 2})

    assert attempts_are_as_expected.examine(evidence).problems == ()
    (recovery,) = recoveries(evidence).values()
    assert recovery.waited == 17
    assert recovery.bound == math.inf


def test_without_a_promise_nothing_is_promised_and_with_one_that_is_judged() -> None:
    evidence = _evidence(LOST, _journal(["pod-1"]))
    assert recovers_within_its_bound.examine(evidence).problems == ()

    promised = replace(evidence, timings=Timings(recovery_seconds=16))
    finding = recovers_within_its_bound.examine(promised)

    assert finding.verdict is Verdict.FAILED
    assert "after the fault command at kubectl work resumed after 17.0 s" in finding.problems[0]
