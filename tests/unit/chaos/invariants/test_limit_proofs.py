"""By records made by hand: calls above a limit, and what was open when they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs.limits import (
    attempts_of,
    no_retry_storm,
    pauses_seconds,
    rate_limit_was_hit,
    services_were_overloaded,
    throttled,
)
from chaos.invariants.verdict import Verdict
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import FOLDER, RECORD, Called, read_wire
from tests.unit.chaos.made_history import Made, at, evidence_of

CROSSING = Crossing(boundary=Boundary.parse("call POST /charges leaving"))


def polled(seconds: float, decision: str = "limit", **fields: Any) -> Called:
    """A call of the server that was refused."""
    return Called(
        at=at(seconds),
        method="PollActivityTaskQueue",
        decision=decision,
        status="RESOURCE_EXHAUSTED",
        **fields,
    )


def asked(seconds: float, decision: str = "limit") -> Called:
    """A request of the service."""
    status = "429" if decision == "limit" else "200"
    return Called(
        at=at(seconds),
        method="POST /charges",
        crossings=(CROSSING,),
        decision=decision,
        status=status,
    )


def evidence_with(
    folder: Path, *calls: Called, fault: str = "overload", made: Made | None = None
) -> Evidence:
    """Of an order that is open from 0 to 21, with an activity from 1 to 20 that took two attempts;
    the limit is on from 5 to 10.
    """
    if made is None:
        made = Made()
        made.done(made.scheduled("charge_card", 1), attempt=2, seconds=20).ended(seconds=21)
    (folder / FOLDER).mkdir()
    lines = {
        "worker-1.jsonl": [call for call in calls if not call.crossings],
        "worker-1-to-payments.jsonl": [call for call in calls if call.crossings],
    }
    for name, records in lines.items():
        content = b"".join(RECORD.dump_json(call) + b"\n" for call in records)
        (folder / FOLDER / name).write_bytes(content)
    target = "workers>payments" if fault == "overload" else "workers>server"
    journal = (
        Entry(at=at(5), event=Event.FAULT, kind=fault, target=target),
        Entry(at=at(10), event=Event.HEALED, target=target),
    )
    return replace(evidence_of(made.workflow()), folder=folder, journal=journal)


@pytest.mark.parametrize(
    "call", [polled(6), polled(6, decision="", forwarded_at=at(6))], ids=["wire", "server"]
)
def test_a_refused_call_proves_a_rate_limit(tmp_path: Path, call: Called) -> None:
    evidence = evidence_with(tmp_path, call, fault="rate_limit")
    assert rate_limit_was_hit.examine(evidence).verdict is Verdict.PASSED
    assert list(throttled(read_wire(tmp_path))) == [call]


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [polled(2)],  # before it
        [polled(12)],  # after it
        [polled(6, decision="RESOURCE_EXHAUSTED")],  # decided at a breakpoint
        [polled(6, decision="")],  # nobody says by whom
    ],
)
def test_a_rate_limit_that_refused_nothing_is_unknown(
    tmp_path: Path, calls: Sequence[Called]
) -> None:
    finding = rate_limit_was_hit.examine(evidence_with(tmp_path, *calls, fault="rate_limit"))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("the rate limit refused no call",)


def test_a_rate_limit_that_met_no_open_workflow_is_unknown(tmp_path: Path) -> None:
    evidence = evidence_with(
        tmp_path, polled(6), fault="rate_limit", made=Made().ended(seconds=5.5)
    )
    finding = rate_limit_was_hit.examine(evidence)
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("no workflow was open when the rate limit refused calls",)


@pytest.mark.parametrize("decision", ["limit", "queued"])
def test_a_request_above_the_limit_proves_an_overload(tmp_path: Path, decision: str) -> None:
    evidence = evidence_with(tmp_path, asked(6, decision))
    assert services_were_overloaded.examine(evidence).verdict is Verdict.PASSED


@pytest.mark.parametrize("calls", [[], [asked(6, "")], [asked(4)], [asked(11)]])
def test_a_service_that_took_all_was_not_overloaded(
    tmp_path: Path, calls: Sequence[Called]
) -> None:
    finding = services_were_overloaded.examine(evidence_with(tmp_path, *calls))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == ("payments had no more requests than it takes",)


def test_an_overload_while_no_activity_was_open_is_unknown(tmp_path: Path) -> None:
    made = Made()
    made.done(made.scheduled("charge_card", 1), seconds=5.5).ended(seconds=21)
    finding = services_were_overloaded.examine(evidence_with(tmp_path, asked(6), made=made))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (
        "no activity was open when payments had more requests than it takes",
    )


@pytest.mark.parametrize("check", [rate_limit_was_hit, services_were_overloaded])
def test_a_limit_that_was_not_put_on_is_unknown(tmp_path: Path, check: Any) -> None:
    evidence = replace(evidence_with(tmp_path, asked(6), polled(6)), journal=())
    assert check.examine(evidence).verdict is Verdict.UNKNOWN


def test_two_refusals_of_an_activity_within_a_second_are_no_storm(tmp_path: Path) -> None:
    calls = [asked(5 + number * 0.6) for number in range(8)]
    assert no_retry_storm.examine(evidence_with(tmp_path, *calls)).verdict is Verdict.PASSED


def test_who_asks_again_at_once_makes_a_storm(tmp_path: Path) -> None:
    calls = [asked(6 + number / 100) for number in range(3)]
    finding = no_retry_storm.examine(evidence_with(tmp_path, *calls))
    assert finding.verdict is Verdict.FAILED
    (problem,) = finding.problems
    assert problem.startswith("payments refused 3 requests within 1 s, with 1 activities open:")


def test_who_asks_for_several_things_at_a_time_may_be_refused_as_often(tmp_path: Path) -> None:
    usual = [asked(2 + number / 100, "") for number in range(4)]
    allowed = [asked(6 + number / 100) for number in range(8)]
    evidence = evidence_with(tmp_path, *usual, *allowed)
    assert no_retry_storm.examine(evidence).verdict is Verdict.PASSED
    (tmp_path / "more").mkdir()
    evidence = evidence_with(tmp_path / "more", *usual, *allowed, asked(6.5))
    assert no_retry_storm.examine(evidence).verdict is Verdict.FAILED


def test_a_policy_with_shorter_pauses_explains_more(tmp_path: Path) -> None:
    made = Made()
    number = made.scheduled("charge_card", 1)
    policy = made.events[number - 1].activity_task_scheduled_event_attributes.retry_policy
    policy.initial_interval.FromMilliseconds(100)
    made.done(number, attempt=2, seconds=20).ended(seconds=21)
    calls = [asked(6 + number * 0.06) for number in range(50)]
    assert no_retry_storm.examine(evidence_with(tmp_path, *calls, made=made)).problems == ()


def test_what_waits_in_a_queue_was_not_refused(tmp_path: Path) -> None:
    calls = [asked(6 + number / 100, "queued") for number in range(30)]
    assert no_retry_storm.examine(evidence_with(tmp_path, *calls)).verdict is Verdict.PASSED


def test_pauses_are_those_of_the_policy() -> None:
    made = Made()
    number = made.scheduled("charge_card", 1)
    policy = made.events[number - 1].activity_task_scheduled_event_attributes.retry_policy
    policy.initial_interval.FromSeconds(3)
    policy.maximum_interval.FromSeconds(10)
    policy.backoff_coefficient = 2
    made.done(number, attempt=4, seconds=20).ended(seconds=21)
    (activity,) = made.workflow().activities
    assert attempts_of(activity) == 4
    assert pauses_seconds(activity) == 3 + 6 + 10


def _with_ledger(
    folder: Path, *calls: Called, of_ledger: Sequence[Called], **options: Any
) -> Evidence:
    """The same, and what another service was asked."""
    evidence = evidence_with(folder, *calls, **options)
    content = b"".join(RECORD.dump_json(call) + b"\n" for call in of_ledger)
    (folder / FOLDER / "worker-1-to-ledger.jsonl").write_bytes(content)
    return evidence


def test_another_services_requests_are_no_proof(tmp_path: Path) -> None:
    evidence = _with_ledger(tmp_path, asked(6, ""), of_ledger=[asked(6)])

    assert services_were_overloaded.examine(evidence).problems == (
        "payments had no more requests than it takes",
    )


def test_another_services_requests_make_no_storm_and_excuse_none(tmp_path: Path) -> None:
    many = [asked(6 + number / 100) for number in range(9)]
    assert not no_retry_storm.examine(_with_ledger(tmp_path, asked(6), of_ledger=many)).problems
    (tmp_path / "more").mkdir()
    usual = [asked(2 + number / 100, "") for number in range(9)]
    assert no_retry_storm.examine(_with_ledger(tmp_path / "more", *many, of_ledger=usual)).problems


def test_a_call_that_another_fault_met_is_no_proof_of_a_limit(tmp_path: Path) -> None:
    evidence = evidence_with(tmp_path, polled(2), asked(2), fault="rate_limit")
    kill = Entry(at=at(1), event=Event.FAULT, kind="kill", target="worker-1")
    told = replace(evidence, journal=(kill, *evidence.journal))

    assert rate_limit_was_hit.examine(told).problems == ("the rate limit refused no call",)


@pytest.mark.parametrize(("started", "closed", "is_open"), [(0, 21, True), (7, 21, False)])
def test_one_open_workflow_of_several_suffices(
    tmp_path: Path, started: int, closed: int, is_open: bool
) -> None:
    made = Made("order-2")
    made.events[0].event_time.FromDatetime(at(started))
    other = made.ended(seconds=closed).workflow()
    evidence = evidence_with(
        tmp_path, polled(6), fault="rate_limit", made=Made().ended(seconds=5.5)
    )
    told = replace(evidence, workflows={**evidence.workflows, other.workflow_id: other})

    assert (not rate_limit_was_hit.examine(told).problems) is is_open


def test_a_workflow_that_has_not_ended_is_open(tmp_path: Path) -> None:
    evidence = evidence_with(tmp_path, polled(6), fault="rate_limit", made=Made())

    assert rate_limit_was_hit.examine(evidence).problems == ()


def test_one_open_activity_of_several_suffices(tmp_path: Path) -> None:
    made = Made()
    made.done(made.scheduled("charge_card", 1), seconds=2)
    made.done(made.scheduled("ship_parcel", 3), seconds=20).ended(seconds=21)

    assert not services_were_overloaded.examine(
        evidence_with(tmp_path, asked(6), made=made)
    ).problems


def test_only_activities_that_are_open_then_may_be_refused(tmp_path: Path) -> None:
    made = Made()
    for begun in (0.5, 1, 9):
        made.done(made.scheduled("charge_card", begun), seconds=begun + 1)
    made.done(made.scheduled("charge_card", 3), seconds=20).ended(seconds=21)
    calls = [asked(6 + number / 100) for number in range(3)]
    finding = no_retry_storm.examine(evidence_with(tmp_path, *calls, made=made))

    (problem,) = finding.problems
    assert "with 1 activities open" in problem
    (tmp_path / "more").mkdir()
    made = Made()
    numbers = [made.scheduled("charge_card", 3) for _ in range(2)]
    for number in numbers:
        made.done(number, seconds=20)
    allowed = evidence_with(tmp_path / "more", *calls, asked(6.5), made=made.ended(seconds=21))
    assert no_retry_storm.examine(allowed).problems == ()
