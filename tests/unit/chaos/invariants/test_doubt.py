"""What a starved machine can make is unknown on one, and red on any other; safety is always red."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.headroom import Strain
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants import Invariant, Late, Lost, invariant
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.doubt import Tolerance, unless_about
from chaos.invariants.money import all_expected_is_billed, billed_at_most_expected
from chaos.invariants.survival import workflows_end_as_expected
from chaos.invariants.verdict import Verdict
from chaos.network.journal import file_name
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Called, Opened, WireRecord
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.progress import checkpoints_are_complete_and_in_order
from tests.chaos.video.scenarios.no_interference import no_interference
from tests.unit.chaos.made_history import Made, at

STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
BUSY = Strain(pressure=0.97, steal=0.0, lag_seconds=1.4)
ROOMY = Strain(pressure=0.2, steal=0.0, lag_seconds=0.0)
WORDS = "unknown: the machine was too busy: up to 97% of the time"

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


LINES = ("worker-1", "worker-2")


def _on(strain: Strain, evidence: Evidence) -> Evidence:
    """The same on a machine that was as starved as that."""
    entry = Entry(at=datetime(2026, 1, 1, tzinfo=UTC), event=Event.STRAIN, strain=strain)
    changed = replace(evidence, journal=(*evidence.journal, entry))
    vars(changed).pop("strain", None)
    return changed


def _yields(*problems: str) -> Invariant:
    @invariant
    def judge(evidence: Evidence) -> Iterator[str]:
        del evidence
        yield from problems

    return judge


def _second_attempt(silent: bool) -> Callable[[History], None]:
    """The second activity took another attempt, after one that went silent, or that failed."""

    def edit(history: History) -> None:
        event = [e for e in history.events if e.event_type == STARTED][1]
        started = event.activity_task_started_event_attributes
        started.attempt = 2
        if silent:
            heartbeat = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
            started.last_failure.timeout_failure_info.timeout_type = heartbeat
        else:
            started.last_failure.application_failure_info.type = "BadReply"

    return edit


def _still_running(history: History) -> None:
    del history.events[-1]


@pytest.fixture
def mixed(concurrency: Evidence, retry_config: Evidence) -> Evidence:
    """Five that nothing has disturbed, and a poisoned one."""
    poisoned = {"retry-refused": retry_config.workflows["retry-refused"]}
    return replace(concurrency, workflows={**concurrency.workflows, **poisoned})


@pytest.mark.parametrize(
    ("problems", "strain", "verdict"),
    [
        ([Late("late")], BUSY, Verdict.UNKNOWN),
        ([Late("late")], ROOMY, Verdict.FAILED),
        ([Late("late"), "twice billed"], BUSY, Verdict.FAILED),
        ([Late("late"), Lost("lost")], BUSY, Verdict.UNKNOWN),
        ([Late("late"), Lost("lost")], ROOMY, Verdict.FAILED),
        ([Lost("lost")], ROOMY, Verdict.UNKNOWN),
        (["twice billed"], BUSY, Verdict.FAILED),
    ],
)
def test_only_what_a_starved_machine_can_make_is_unknown_on_one(
    concurrency: Evidence, problems: list[str], strain: Strain, verdict: Verdict
) -> None:
    assert _yields(*problems).examine(_on(strain, concurrency)).verdict is verdict


def test_where_nobody_measured_the_machine_nothing_is_excused(worker_crash: Evidence) -> None:
    assert worker_crash.strain is None
    assert _yields(Late("late")).examine(worker_crash).verdict is Verdict.FAILED


def test_one_busy_window_is_enough_and_the_worst_is_named(concurrency: Evidence) -> None:
    finding = _yields(Late("late")).examine(_on(ROOMY, _on(BUSY, concurrency)))

    assert finding.problems[0] == "late"
    assert finding.problems[1].startswith(WORDS)


@pytest.mark.parametrize("check", [attempts_are_as_expected, no_interference({"retry-refused"})])
@pytest.mark.parametrize(("silent", "verdict"), [(True, Verdict.UNKNOWN), (False, Verdict.FAILED)])
def test_an_attempt_that_was_lost_without_any_fault_is_not_the_workflows(
    mixed: Evidence,
    with_history: Change,
    check: Invariant,
    silent: bool,
    verdict: Verdict,
) -> None:
    changed = with_history(mixed, "load-002", _second_attempt(silent))

    assert check.examine(_on(ROOMY, changed)).verdict is verdict


def test_a_lost_attempt_that_a_fault_explains_is_not_unknown_on_a_machine_with_room(
    concurrency: Evidence, with_history: Change
) -> None:
    changed = with_history(concurrency, "load-002", _second_attempt(silent=True))
    begun = changed.workflows["load-002"].started_at - timedelta(minutes=10)
    kill = Entry(at=begun, event=Event.FAULT, kind="kill", target="worker-1", pid=1)
    killed = replace(changed, journal=(kill, *changed.journal))

    assert attempts_are_as_expected.examine(_on(ROOMY, killed)).verdict is Verdict.FAILED
    assert attempts_are_as_expected.examine(_on(BUSY, killed)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "check", [workflows_end_as_expected, checkpoints_are_complete_and_in_order]
)
def test_a_workflow_that_has_not_ended_may_only_be_late(
    checkpoint: Evidence, with_history: Change, check: Invariant
) -> None:
    (workflow_id,) = checkpoint.workflows
    changed = with_history(checkpoint, workflow_id, _still_running)

    assert check.examine(_on(BUSY, changed)).verdict is Verdict.UNKNOWN
    assert check.examine(_on(ROOMY, changed)).verdict is Verdict.FAILED


def test_what_a_workflow_lacks_that_has_ended_is_lost_on_a_starved_machine_as_well(
    checkpoint: Evidence,
) -> None:
    unpaid = replace(checkpoint, bills=())

    assert all_expected_is_billed.examine(_on(BUSY, unpaid)).verdict is Verdict.FAILED


def test_what_is_billed_twice_is_red_on_a_starved_machine(checkpoint: Evidence) -> None:
    twice = replace(checkpoint, bills=(*checkpoint.bills, *checkpoint.bills))

    assert billed_at_most_expected.examine(_on(BUSY, twice)).verdict is Verdict.FAILED


def test_a_lost_checkpoint_is_red_on_a_starved_machine(checkpoint: VideoEvidence) -> None:
    (spec,) = checkpoint.specs
    more = spec.model_copy(update={"checkpoints": (*spec.checkpoints, "one-more")})
    changed = replace(checkpoint, specs=(more,))

    finding = checkpoints_are_complete_and_in_order.examine(_on(BUSY, changed))

    assert finding.verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("seconds", "kind"), [(8.9, str), (9.0, None), (10.0, None), (13.0, None), (13.1, Late)]
)
def test_no_machine_is_so_busy_that_anything_comes_sooner(
    seconds: float, kind: type[str] | None
) -> None:
    tolerance = Tolerance(early_seconds=1.0, late_seconds=3.0)

    found = list(unless_about(seconds, 10.0, tolerance, "a retry came at another time"))

    assert [type(problem) for problem in found] == ([kind] if kind else [])


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
    busy = Entry(at=at(0), event=Event.STRAIN, strain=BUSY)

    finding = attempts_are_as_expected.examine(_evidence(tmp_path, records, busy))

    assert finding.verdict is Verdict.UNKNOWN


def test_who_was_not_on_the_wire_may_have_got_it(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, {"worker-1": SECOND})

    assert attempts_are_as_expected.examine(evidence).problems[0].endswith("attempt(s), not 1")


def test_of_several_of_a_kind_nobody_knows_whose_attempt_it_was(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, {"worker-1": (), "worker-2": SECOND}, activities=2)

    assert attempts_are_as_expected.examine(evidence).problems[0].endswith("attempt(s), not 1")
