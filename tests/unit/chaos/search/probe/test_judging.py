"""A recorded run is judged by its folder alone: an order's worker that has a new key each time, and
died when it was about to report that the card is charged.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaos.environment.target import Target
from chaos.search.crash.points import Disturbance, crash_points
from chaos.search.probe.baseline import Baseline
from chaos.search.probe.judging import Judge, bound_seconds, broken
from chaos.search.probe.observed import observe
from chaos.search.probe.plan import disturbances
from chaos.search.probe.record import Fate
from chaos.wire.boundary import Boundary
from chaos.wire.journal import FOLDER, Polled, read_wire
from tests.unit.chaos.made_history import NOON, at
from tests.unit.chaos.search.probe.made_runs import ORDER, charged, evidence

EVIDENCE = Path(__file__).parent / "evidence"
UNDISTURBED = [EVIDENCE / f"undisturbed-{number}" for number in (1, 2)]
KILLED = EVIDENCE / "kill-activity-charge_card-completing-1-1"
TARGET = Target(worker=("worker",), task_queue="orders")
RUNS = [observe(TARGET.load_evidence(run), read_wire(run)) for run in UNDISTURBED]
JUDGE = Judge(target=TARGET, baseline=Baseline.of(RUNS), patience_seconds=60.0)


HANDOVER = 12.0

TASK, ACTIVITY = 10.0, 45.0


def _point(text: str) -> Disturbance:
    """One that the recorded undisturbed runs came to."""
    found = disturbances([crash_points(read_wire(run), run.name) for run in UNDISTURBED])
    return next(each for each in found if Boundary.parse(text) in each.point.boundaries)


CHARGED = _point("activity charge_card completing")


def test_what_the_service_was_asked_twice_is_found_and_its_hit_is_proven() -> None:
    cell = JUDGE.cell(KILLED, CHARGED, attempt=1, began_at=NOON).cell

    assert [finding.fate for finding in cell.findings] == [Fate.DONE_TWICE]
    assert cell.findings[0].text == (
        "payments was asked 2 times for POST /charges during charge_card: the same body without "
        "one idempotency key, so the service cannot detect the repetition"
    )
    assert cell.recovered_seconds == pytest.approx(17.8, abs=0.1)
    assert cell.bound_seconds == 30.0, "15 s of heartbeat, 3 s of backoff, a handover"
    marks = [moment.mark for moment in cell.timeline]
    assert {"history", "start", "hit", "kill", "exit", "wire", "service"} == set(marks)
    assert [m.seconds for m in cell.timeline] == sorted(m.seconds for m in cell.timeline)


def test_what_differs_between_the_undisturbed_runs_is_masked() -> None:
    assert JUDGE.baseline.masks == {("charge_id",), ("parcel_id",)}


def test_another_point_than_the_one_that_was_hit_is_not_proven_by_it() -> None:
    cell = JUDGE.cell(
        KILLED, _point("activity ship_parcel completing"), attempt=2, began_at=NOON
    ).cell

    assert cell.findings[-1].fate is Fate.UNKNOWN
    assert "no call came there" in cell.findings[-1].text
    assert cell.recovered_seconds is None


def test_without_its_kill_on_record_it_is_not_proven(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(KILLED, tmp_path / "run"))
    journal = folder / "journal.jsonl"
    lines = [line for line in journal.read_text().splitlines() if '"signaled"' not in line]
    journal.write_text("\n".join(lines) + "\n")
    cell = JUDGE.cell(folder, CHARGED, attempt=1, began_at=NOON).cell

    assert [finding.fate for finding in cell.findings] == [Fate.DONE_TWICE, Fate.UNKNOWN]
    assert "got no signal" in cell.findings[1].text


def test_without_the_second_request_on_record_it_was_sent_once(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(KILLED, tmp_path / "run"))
    file = folder / FOLDER / "worker-4-to-payments.jsonl"
    file.write_text(file.read_text().partition("\n")[0] + "\n")
    cell = JUDGE.cell(folder, CHARGED, attempt=1, began_at=NOON).cell

    assert [finding.fate for finding in cell.findings] == [Fate.SURVIVED]


def test_what_could_not_be_tried_is_unknown(tmp_path: Path) -> None:
    cell = broken(tmp_path / "run", CHARGED, attempt=3, why="no worker")

    assert (cell.fate, cell.tries) == (Fate.UNKNOWN, 3)
    assert cell.findings[0].text == "it could not be tried: no worker"


@pytest.mark.parametrize(
    ("places", "due"),
    [
        (["workflow_task Order completed"], TASK),
        (["activity charge_card assigned"], ACTIVITY),
        (["workflow_task Order completed", "activity charge_card assigned"], ACTIVITY),
        (["workflow_task Order completed", "activity never_seen assigned"], TASK),
        (["activity never_seen assigned"], None),
    ],
)
def test_of_a_call_at_several_boundaries_the_last_that_is_due_counts(
    places: list[str], due: float | None
) -> None:
    assert _bound(places) == (None if due is None else due + HANDOVER)


@pytest.mark.parametrize(("polls", "due"), [((0.5, 21.0, 60.0), 20.0), ((0.5,), TASK)])
def test_nothing_goes_on_before_another_worker_polls(polls: tuple[float, ...], due: float) -> None:
    assert _bound(["workflow_task Order completed"], *polls) == due + HANDOVER


def _bound(places: list[str], *polls: float) -> float | None:
    """After a disturbance in second 1."""
    made = charged()
    started = made.events[0].workflow_execution_started_event_attributes
    started.workflow_task_timeout.FromSeconds(int(TASK))
    run = evidence(made)
    polled = [Polled(at=at(s), queue="orders", kind="workflow", identity="w") for s in polls]
    boundaries = [Boundary.parse(place) for place in places]
    return bound_seconds(run, {"worker-1": polled}, run.workflows[ORDER], boundaries, at(1))
