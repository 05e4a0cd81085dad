"""What the wire says of an attempt that was lost, by evidence made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import TimeoutType

from chaos.evidence.case import Evidence
from chaos.evidence.headroom import Strain
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.verdict import Verdict
from chaos.network.journal import file_name
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Called, Opened, WireRecord
from tests.unit.chaos.made_history import Made, at

BUSY = Entry(at=at(0), event=Event.STRAIN, strain=Strain(pressure=0.97, steal=0.0, lag_seconds=1.4))
LINES = ("worker-1", "worker-2")


def _repeated(activities: int = 1) -> Workflow:
    """Each activity took two attempts, the first of which went silent."""
    made = Made()
    for _ in range(activities):
        number = made.scheduled("charge_card", heartbeat=15)
        made.done(number, attempt=2, seconds=30)
        started = made.events[-2].activity_task_started_event_attributes
        silent = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
        started.last_failure.timeout_failure_info.timeout_type = silent
    return made.ended(seconds=31).workflow()


def _call(stage: str, attempt: int = 1, *, arrived: bool = True, status: str = "OK") -> Called:
    crossing = Crossing(
        boundary=Boundary.parse(f"activity charge_card {stage}"),
        workflow_id="order-1",
        attempt=attempt,
    )
    return Called(
        at=at(2),
        method="PollActivityTaskQueue",
        delivered_at=at(2) + timedelta(milliseconds=1) if arrived else None,
        status=status,
        crossings=(crossing,),
    )


SECOND = (_call("assigned", 2), _call("completing", 2))


def _evidence(
    folder: Path,
    records: Mapping[str, Sequence[WireRecord]],
    *journal: Entry,
    activities: int = 1,
) -> Evidence:
    (folder / FOLDER).mkdir()
    for line, own in records.items():
        opened = Opened(at=at(0), listen="127.0.0.1:1", upstream="127.0.0.1:2")
        lines = [RECORD.dump_json(record) + b"\n" for record in (opened, *own)]
        (folder / FOLDER / file_name(line)).write_bytes(b"".join(lines))
    ready = [Entry(at=at(0), event=Event.READY, target=each, pid=7) for each in LINES]
    return Evidence(
        folder=folder,
        specs=[WorkflowSpec(workflow_id="order-1", workflow_type="Order")],
        workflows={"order-1": _repeated(activities)},
        journal=[*ready, *journal],
    )


@pytest.mark.parametrize(
    ("first", "verdict", "told"),
    [
        ([], Verdict.UNKNOWN, "the server lost it: on the wire no worker got it"),
        (
            [_call("assigned", arrived=False)],
            Verdict.UNKNOWN,
            "the server gave it out, and it did not reach the worker",
        ),
        (
            [_call("assigned", status="UNAVAILABLE")],
            Verdict.UNKNOWN,
            "the server gave it out, and it did not reach the worker",
        ),
        (
            [_call("assigned"), _call("completing")],
            Verdict.UNKNOWN,
            "the worker reported it, and the server did not take that",
        ),
        (
            [_call("assigned")],
            Verdict.FAILED,
            "it was delivered, and the worker never reported",
        ),
    ],
)
def test_the_wire_says_where_an_attempt_was_lost(
    tmp_path: Path, first: Sequence[Called], verdict: Verdict, told: str
) -> None:
    evidence = _evidence(tmp_path, {"worker-1": first, "worker-2": SECOND})
    finding = attempts_are_as_expected.examine(evidence)

    assert finding.verdict is verdict
    assert finding.problems[0].endswith(f"took 2 attempt(s), not 1; attempt 1: {told}")


def test_what_a_worker_had_may_be_late_on_a_starved_machine(tmp_path: Path) -> None:
    records = {"worker-1": [_call("assigned")], "worker-2": SECOND}

    finding = attempts_are_as_expected.examine(_evidence(tmp_path, records, BUSY))

    assert finding.verdict is Verdict.UNKNOWN


def test_who_was_not_on_the_wire_may_have_got_it(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, {"worker-1": SECOND})

    assert attempts_are_as_expected.examine(evidence).problems[0].endswith("attempt(s), not 1")


def test_of_several_of_a_kind_nobody_knows_whose_attempt_it_was(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, {"worker-1": (), "worker-2": SECOND}, activities=2)

    assert attempts_are_as_expected.examine(evidence).problems[0].endswith("attempt(s), not 1")
