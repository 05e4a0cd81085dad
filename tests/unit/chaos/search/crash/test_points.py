"""The records of a run become stops, and every boundary is at one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaos.search.crash.points import CrashPoint, Phase, crash_points, during
from chaos.wire.boundary import Boundary, Crossing, Kind, Stage
from chaos.wire.journal import Called, Polled, WireRecords
from tests.unit.chaos.search.explore.kept import FAULT_FREE

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = "order-1"


def call(second: float, *boundaries: str, workflow_id: str = WORKFLOW, **more: Any) -> Called:
    """One that begins then, is answered a tenth later, and handed over another tenth later."""
    at = BEGIN + timedelta(seconds=second)
    return Called(
        at=at,
        method="some",
        forwarded_at=at,
        replied_at=at + timedelta(seconds=0.1),
        delivered_at=at + timedelta(seconds=0.2),
        crossings=tuple(
            Crossing(boundary=Boundary.parse(each), workflow_id=workflow_id, **more)
            for each in boundaries
        ),
    )


def names(found: Sequence[CrashPoint]) -> list[list[str]]:
    return [[str(boundary) for boundary in point.boundaries] for point in found]


def test_a_real_run_has_each_boundary_once_in_the_order_of_the_worker(records: WireRecords) -> None:
    found = crash_points(records, FAULT_FREE)
    counted = Counter(str(b) for point in found for b in point.boundaries)

    assert set(counted.values()) == {1}
    assert len(found) == 64
    first = [str(point.boundary) for point in found[:6]]
    assert first == [
        "workflow_task SingleVideo assigned 1",
        "workflow_task SingleVideo delivered 1",
        "workflow_task SingleVideo completing 1",
        "workflow_task SingleVideo completed 1",
        "activity open_operation assigned 1",
        "activity open_operation delivered 1",
    ]
    assert str(found[-1].boundary) == "workflow_task SingleVideo completed 6"


def test_calls_of_a_service_stand_within_their_activity(records: WireRecords) -> None:
    found = [str(point.boundary) for point in crash_points(records, FAULT_FREE)]
    start = [i for i, name in enumerate(found) if "predictLongRunning" in name]

    assert [found[i].rpartition(":")[2] for i in start] == [
        "predictLongRunning leaving 1",
        "predictLongRunning answered 1",
    ]
    assert found.index("activity start_video delivered 1") < start[0]
    assert start[-1] < found.index("activity start_video completing 1")


def test_what_one_call_is_at_is_one_stop() -> None:
    report = call(
        0,
        "workflow_task Order completing",
        "marker local completing",
        "workflow_task Order completed",
        "marker local completed",
        "activity charge assigned",
        "activity charge delivered",
    )
    found = crash_points({"worker-1": [report]}, WORKFLOW)

    assert names(found) == [
        ["workflow_task Order completing 1", "marker local completing 1"],
        [
            "workflow_task Order completed 1",
            "marker local completed 1",
            "activity charge assigned 1",
        ],
        ["activity charge delivered 1"],
    ]
    assert [point.phase for point in found] == [Phase.ASKED, Phase.ANSWERED, Phase.HANDED_OVER]


def test_a_further_attempt_is_no_further_boundary() -> None:
    lines = {
        "worker-1": [
            call(0, "activity charge assigned", "activity charge delivered"),
            call(1, "activity charge failing", "activity charge failed"),
            call(2, "activity charge assigned", "activity charge delivered", attempt=2),
            call(3, "activity charge completing", "activity charge completed", attempt=2),
        ]
    }

    assert [point.boundary.stage for point in crash_points(lines, WORKFLOW)] == [
        *(Stage.ASSIGNED, Stage.DELIVERED, Stage.FAILING, Stage.FAILED),
        *(Stage.COMPLETING, Stage.COMPLETED),
    ]


def test_empty_polls_and_other_records_are_none() -> None:
    poll = Polled(queue="q", kind="workflow", identity="me")

    assert crash_points({"worker-1": [poll, call(0)]}, WORKFLOW) == []


def test_what_a_child_does_is_told_apart() -> None:
    lines = {
        "worker-1": [
            call(0, "workflow_task Order assigned"),
            call(1, "workflow_task Order assigned", workflow_id="child-7"),
        ]
    }
    own, child = crash_points(lines, WORKFLOW)

    assert (own.is_own, child.is_own) == (True, False)
    assert own.name == "workflow_task-Order-assigned-1"
    assert child.name == "child-workflow_task-Order-assigned-1"


def test_calls_are_counted_from_the_begin_of_the_run() -> None:
    """A line that has had others before numbers them higher."""
    leaving, answered = "call POST /charges leaving 7", "call POST /charges answered 7"
    again = "call POST /charges leaving 9", "call POST /charges answered 9"
    other = "call GET /charges leaving 3", "call GET /charges answered 3"
    lines = {"worker-1>payments": [call(2, *again), call(0, leaving, answered), call(1, *other)]}
    found = crash_points(lines, WORKFLOW)

    assert {point.service for point in found} == {"payments"}
    assert [name for (name,) in names(found)] == [
        *("call POST /charges leaving 1", "call POST /charges answered 1"),
        *("call GET /charges leaving 1", "call GET /charges answered 1"),
        *("call POST /charges leaving 2", "call POST /charges answered 2"),
    ]


@pytest.mark.parametrize(("count", "kept"), [(1, [1]), (3, [1]), (4, [1, 4]), (40, [1, 40])])
def test_of_the_heartbeats_of_an_activity_the_first_counts_and_of_many_the_last(
    count: int, kept: list[int]
) -> None:
    beats = [
        call(n, f"heartbeat charge completing {n}", f"heartbeat charge completed {n}")
        for n in range(1, count + 1)
    ]
    found = crash_points({"worker-1": [call(0, "activity charge assigned"), *beats]}, WORKFLOW)

    ordinals = [s.boundary.ordinal for s in found if s.boundary.kind is Kind.HEARTBEAT]
    assert ordinals == [n for n in kept for _ in ("completing", "completed")]


def test_the_next_activity_of_the_type_has_a_first_heartbeat_as_well() -> None:
    lines = {
        "worker-1": [
            call(0, "activity charge assigned"),
            *(call(n, f"heartbeat charge completing {n}") for n in (1, 2)),
            call(3, "activity charge assigned 2"),
            *(call(n, f"heartbeat charge completing {n}") for n in (4, 5)),
        ]
    }
    found = crash_points(lines, WORKFLOW)

    beats = [s.boundary.ordinal for s in found if s.boundary.kind is Kind.HEARTBEAT]
    assert beats == [1, 4]


@pytest.mark.parametrize(("one", "other"), [("activity a-b completing", "activity a/b completing")])
def test_a_name_is_its_own_and_fit_for_a_file(one: str, other: str) -> None:
    first, second = (CrashPoint(boundaries=(Boundary.parse(text),)).name for text in (one, other))

    assert first != second
    assert first.startswith("activity-a-b-completing-1-")
    assert len(CrashPoint(boundaries=(Boundary.parse(f"activity {'x' * 500} failed"),)).name) < 100


def test_the_number_of_an_activity_in_hand_is_no_part_of_its_type() -> None:
    leaving = Boundary.parse("call GET / leaving")

    assert list(during(Crossing(boundary=leaving, during=("charge", "ship 2")))) == [
        "charge",
        "ship",
    ]
