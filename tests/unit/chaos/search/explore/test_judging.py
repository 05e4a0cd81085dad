"""Real tries pass; break the one thing that a check guards, and they do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chaos.invariants.verdict import Verdict
from chaos.search.crash.hits import NOT_REACHED
from chaos.search.crash.keep import JOURNAL, LOG
from chaos.search.crash.points import Action
from chaos.search.explore.judging import asked_for, judge_attempt
from chaos.search.explore.state import Attempt
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.search.explore.kept import BEGIN, planned_hit

ANSWERED = "single-api-call-POST-models-generateContent-answered-1-1ab178"
TASK_DELIVERED = "single-workflow_task-SingleVideo-delivered-2"
TASK_COMPLETED = "single-workflow_task-SingleVideo-completed-3"
DELIVERED = "single-activity-start_video-delivered-1"
COMPLETING = "single-activity-start_video-completing-1"
COMPLETED = "single-activity-open_operation-completed-1"
ALL = (ANSWERED, TASK_DELIVERED, TASK_COMPLETED, DELIVERED, COMPLETING, COMPLETED)

Kept = Callable[[str], Path]


def judge(folder: Path, action: Action = Action.KILL) -> Attempt:
    point = planned_hit(folder.name).model_copy(update={"action": action})
    return judge_attempt(folder, VIDEO, point, BEGIN, BEGIN).attempt


@pytest.mark.parametrize("name", ALL)
def test_a_real_try_passes_and_proves_its_boundary(name: str, kept: Kept) -> None:
    found = judge(kept(name))

    assert found.verdict is Verdict.PASSED, found.reason
    assert found.is_reached
    assert list(found.proven) == [str(planned_hit(name).point.boundary)]


def test_the_window_shows_in_the_bill(kept: Kept) -> None:
    twice, once = judge(kept(ANSWERED)), judge(kept(COMPLETING))

    assert (twice.billed_usd - twice.ideal_usd, twice.in_doubt) == (Decimal("0.039"), 1)
    assert (once.billed_usd - once.ideal_usd, once.in_doubt) == (Decimal(0), 0)


def test_recovery_is_counted_until_work_is_given_out_again(kept: Kept) -> None:
    """A workflow task's 10 s, and a missing heartbeat with its retry."""
    assert judge(kept(TASK_DELIVERED)).recovery_seconds == pytest.approx(10, abs=0.5)
    assert judge(kept(TASK_COMPLETED)).recovery_seconds == pytest.approx(40, abs=0.5)


def records(folder: Path, kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Those of the wire that are of a kind, with their files."""
    for file in (folder / "wire").iterdir():
        for line in file.read_text().splitlines():
            record = json.loads(line)
            if record["event"] == kind:
                yield file, record


def change(folder: Path, kind: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit all records of a kind."""
    for file in (folder / "wire").iterdir():
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for record in lines:
            if record["event"] == kind:
                edit(record)
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def no_call_came_there(folder: Path) -> None:
    change(folder, "reached", lambda r: r["crossing"]["boundary"].update(ordinal=9))


def it_went_on(folder: Path) -> None:
    change(folder, "decided", lambda r: r.update(decision="resume"))


def nobody_decided(folder: Path) -> None:
    change(folder, "decided", lambda r: r.update(passage=-1))


def another_process_was_killed(folder: Path) -> None:
    edit(folder / JOURNAL, '"event":"exited"', '"event":"ready"')


def ended_by_itself(folder: Path) -> None:
    edit(folder / JOURNAL, '"event":"exited"', '"event":"exited","exit_code":1')


def nothing_was_killed(folder: Path) -> None:
    lines = (folder / JOURNAL).read_text().splitlines(keepends=True)
    (folder / JOURNAL).write_text("".join(each for each in lines if '"signaled"' not in each))


def no_fault_is_on_record(folder: Path) -> None:
    (folder / JOURNAL).write_text("")


UNPROVEN = (
    no_call_came_there,
    it_went_on,
    nobody_decided,
    another_process_was_killed,
    ended_by_itself,
    nothing_was_killed,
    no_fault_is_on_record,
)


@pytest.mark.parametrize("spoil", UNPROVEN, ids=lambda spoil: spoil.__name__)
def test_a_hit_that_is_not_proven_proves_nothing(spoil: Callable[[Path], None], kept: Kept) -> None:
    folder = kept(COMPLETING)
    spoil(folder)
    found = judge(folder)

    assert (found.verdict, found.proven) == (Verdict.UNKNOWN, ())
    assert "was_hit" in found.reason


def test_what_was_not_reached_is_told_as_that(kept: Kept) -> None:
    folder = kept(COMPLETING)
    no_call_came_there(folder)
    found = judge(folder)

    assert not found.is_reached
    assert NOT_REACHED in found.reason


def test_the_same_boundary_of_a_child_is_another(kept: Kept) -> None:
    folder = kept(COMPLETING)
    change(folder, "reached", lambda r: r["crossing"].update(workflow_id="a-child"))

    assert not judge(folder).is_reached


def shifted(folder: Path, seconds: float) -> None:
    """As if the call had come there so much later."""

    def later(record: dict[str, Any]) -> None:
        at = datetime.fromisoformat(record["at"]) + timedelta(seconds=seconds)
        record["at"] = at.isoformat()

    change(folder, "reached", later)
    # The worker's end comes after that, wherever it is put.
    lines = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
    for line in lines:
        if "pid" in line:
            later(line)
    (folder / JOURNAL).write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        (TASK_DELIVERED, -600),  # no task was open yet
        (TASK_DELIVERED, 600),  # it was all over
        (DELIVERED, -600),  # not scheduled yet
        (DELIVERED, 600),
        (ANSWERED, -600),
        (ANSWERED, 600),
        (COMPLETING, 600),
        (COMPLETED, -600),  # not completed yet
        (TASK_COMPLETED, -600),
    ],
)
def test_a_history_that_does_not_fit_proves_nothing(name: str, seconds: float, kept: Kept) -> None:
    folder = kept(name)
    shifted(folder, seconds)

    assert judge(folder).proven == ()


def test_an_attempt_that_was_not_lost_proves_no_death(kept: Kept) -> None:
    folder = kept(DELIVERED)
    (file,) = (folder / "histories").iterdir()
    edit(file, '"attempt": 2,', '"attempt": 1,')

    assert judge(folder).proven == ()


def test_a_worker_whose_connection_only_breaks_need_not_die(kept: Kept) -> None:
    folder = kept(COMPLETING)
    nothing_was_killed(folder)
    edit(folder / JOURNAL, '"kind":"kill"', '"kind":"drop"')
    change(folder, "decided", lambda r: r.update(decision="drop"))

    found = judge(folder, Action.DROP)

    assert list(found.proven) == ["activity start_video completing 1"]


def the_request_never_left(folder: Path) -> None:
    """As if it had been lost before the provider had it."""
    change(folder, "called", lambda r: r.update(forwarded_at=None))


def its_activity_was_about_to_report(folder: Path) -> None:
    """As if the reply had been on disk when the worker died."""

    def is_of_the_request(record: dict[str, Any]) -> bool:
        return any(":generateContent" in c["boundary"]["subject"] for c in record["crossings"])

    request = next(r for _, r in records(folder, "called") if is_of_the_request(r))
    (file,) = (f for f in (folder / "wire").iterdir() if "to-api" not in f.name)
    boundary = {
        **request["crossings"][0]["boundary"],
        "kind": "activity",
        "subject": "generate_character",
        "stage": "completing",
    }
    report = {**request, "crossings": [{**request["crossings"][0], "boundary": boundary}]}
    file.write_text(f"{file.read_text()}{json.dumps(report)}\n")


@pytest.mark.parametrize("spoil", [the_request_never_left, its_activity_was_about_to_report])
def test_no_other_request_may_be_billed_again(spoil: Callable[[Path], None], kept: Kept) -> None:
    folder = kept(ANSWERED)
    spoil(folder)
    found = judge(folder)

    assert found.verdict is Verdict.FAILED
    assert "billed_at_most_expected" in found.reason


@pytest.mark.parametrize(
    ("attempts", "verdict"), [(2, Verdict.PASSED), (3, Verdict.PASSED), (4, Verdict.FAILED)]
)
def test_a_hit_explains_the_attempt_in_hand_and_one_that_the_dead_was_given(
    attempts: int, verdict: Verdict, kept: Kept
) -> None:
    folder = kept(DELIVERED)
    (file,) = (folder / "histories").iterdir()
    edit(file, '"attempt": 2,', f'"attempt": {attempts},')

    assert judge(folder).verdict is verdict


@dataclass(frozen=True)
class Damage:
    """One thing that must never be, and the check that has to see it."""

    name: str
    spoil: Callable[[Path], None]
    check: str


def paid_again(folder: Path) -> None:
    bills = folder / "ledger.jsonl"
    bill = next(line for line in bills.read_text().splitlines() if '"billed"' in line)
    bills.write_text(bills.read_text() + bill + "\n")
    (folder / "bills.json").unlink()


def lost(folder: Path) -> None:
    for file in (folder / "histories").iterdir():
        file.unlink()


def a_file_is_gone(folder: Path) -> None:
    next((folder / "artifacts").rglob("*.mp4")).unlink()


def the_key_is_told(folder: Path) -> None:
    (folder / LOG).write_text((folder / LOG).read_text() + "AIza-canary-0123")


def an_activity_was_tried_in_vain(folder: Path) -> None:
    (file,) = (folder / "histories").iterdir()
    edit(file, '"attempt": 1,', '"attempt": 2,')


DAMAGES = (
    Damage(COMPLETING, paid_again, "billed_at_most_expected"),
    Damage(ANSWERED, paid_again, "billed_at_most_expected"),
    Damage(COMPLETING, lost, "workflows_end_as_expected"),
    Damage(COMPLETING, a_file_is_gone, "artifacts_exist_with_their_hash"),
    Damage(COMPLETING, the_key_is_told, "no_secret_is_kept"),
    Damage(TASK_DELIVERED, an_activity_was_tried_in_vain, "attempts_are_explained"),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: f"{d.name}-{d.check}")
def test_damage_is_seen(damage: Damage, kept: Kept) -> None:
    folder = kept(damage.name)
    damage.spoil(folder)
    found = judge(folder)

    assert found.verdict is Verdict.FAILED
    assert damage.check in found.reason


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/*/models/*:generateContent", "generateContent"),
        ("/charges", "charges"),
        ("/charges/*/refund", "refund"),
        ("/charges/*", "charges"),
        ("/", "/"),
    ],
)
def test_a_request_is_known_by_its_last_word_that_is_no_id(path: str, word: str) -> None:
    assert asked_for(path) == word


def edit(file: Path, old: str, new: str, times: int = -1) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, times))
