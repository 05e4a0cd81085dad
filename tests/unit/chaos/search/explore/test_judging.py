"""Real tries pass; break the one thing that a check guards, and they do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.invariants.verdict import Verdict
from chaos.search.explore.judging import Attempt, judge_try
from chaos.search.explore.keep import HIT, JOURNAL, LOG, PASSED
from chaos.search.explore.plan import Plan
from chaos.search.explore.state import Try
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.search.explore.kept import BEGIN, crash_point

REPLIED = "single-activity-2-call-1-replied"
POLLED = "single-task-2-polled"
COMPLETING = "single-activity-3-completing"
TAKEN = "single-task-2-unpolled"
AHEAD = "single-task-3-completed"
"""Its worker had sent the next activity's paid request when it heard that the task was done."""

Judge = Callable[[Path], Try]


@pytest.fixture
def judge(plan: Plan) -> Judge:
    reference = plan.reference("single")

    def judge_kept(folder: Path) -> Try:
        attempt = Attempt(VIDEO, crash_point(folder.name), reference)
        return judge_try(folder, attempt, BEGIN, BEGIN)

    return judge_kept


Kept = Callable[[str], Path]


@pytest.mark.parametrize(
    ("name", "proven"),
    [
        (REPLIED, ["after call 1 generate_character generateContent"]),
        (POLLED, ["after event 9 WORKFLOW_TASK_STARTED"]),
        (
            COMPLETING,
            ["before event 19 ACTIVITY_TASK_COMPLETED", "before event 20 WORKFLOW_TASK_SCHEDULED"],
        ),
    ],
)
def test_a_real_try_passes_and_proves_its_points(
    name: str, proven: Sequence[str], kept: Kept, judge: Judge
) -> None:
    found = judge(kept(name))

    assert (found.verdict, list(found.proven)) == (Verdict.PASSED, proven), found.reason


def test_the_window_shows_in_the_bill(kept: Kept, judge: Judge) -> None:
    twice, once = judge(kept(REPLIED)), judge(kept(COMPLETING))

    assert (twice.billed_usd - twice.ideal_usd, twice.in_doubt) == (Decimal("0.039"), 1)
    assert (once.billed_usd - once.ideal_usd, once.in_doubt) == (Decimal(0), 0)


def test_a_task_that_the_dead_worker_was_given_does_not_prove_that_it_waited(
    kept: Kept, judge: Judge
) -> None:
    found = judge(kept(TAKEN))

    assert (found.verdict, found.proven) == (Verdict.PASSED, ())


def without_the_hit(folder: Path) -> None:
    (folder / HIT).unlink()


def of_another_moment(folder: Path) -> None:
    edit(folder / HIT, '"stage":"completing"', '"stage":"completed"')


def of_another_process(folder: Path) -> None:
    pid = json.loads((folder / HIT).read_text())["pid"]
    edit(folder / HIT, f'"pid":{pid}', '"pid":1')


def ended_by_itself(folder: Path) -> None:
    edit(folder / JOURNAL, '"event": "exited"', '"event": "exited", "exit_code": 1')


def was_not_seen_to_end(folder: Path) -> None:
    (folder / JOURNAL).write_text("")


def went_on_after_its_death(folder: Path) -> None:
    hit = json.loads((folder / HIT).read_text())
    lines = (folder / PASSED).read_text().splitlines()
    late = json.loads(lines[-1]) | {"pid": hit["pid"]}
    (folder / PASSED).write_text("\n".join([*lines, json.dumps(late)]) + "\n")


UNPROVEN = (
    without_the_hit,
    of_another_moment,
    of_another_process,
    ended_by_itself,
    was_not_seen_to_end,
    went_on_after_its_death,
)


@pytest.mark.parametrize("spoil", UNPROVEN, ids=lambda spoil: spoil.__name__)
def test_a_kill_that_is_not_proven_proves_nothing(
    spoil: Callable[[Path], None], kept: Kept, judge: Judge
) -> None:
    folder = kept(COMPLETING)
    spoil(folder)
    found = judge(folder)

    assert (found.verdict, found.proven) == (Verdict.UNKNOWN, ())
    assert "was_killed_there" in found.reason


def died_later(folder: Path) -> None:
    hit = json.loads((folder / HIT).read_text())
    later = VIDEO.load_evidence(folder).workflows[hit["workflow_id"]].closed_at
    assert later
    edit(folder / HIT, hit["at"], later.isoformat().replace("+00:00", "Z"))


def died_sooner(folder: Path) -> None:
    hit = json.loads((folder / HIT).read_text())
    sooner = VIDEO.load_evidence(folder).workflows[hit["workflow_id"]].started_at
    edit(folder / HIT, hit["at"], sooner.isoformat().replace("+00:00", "Z"))


def of_other_events(folder: Path) -> None:
    (file,) = (folder / "histories").iterdir()
    edit(file, "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED", "EVENT_TYPE_TIMER_FIRED", times=1)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (COMPLETING, of_other_events),
        (COMPLETING, died_later),
        (POLLED, died_sooner),
        (REPLIED, died_sooner),
    ],
)
def test_a_history_that_does_not_fit_proves_no_point(
    name: str, spoil: Callable[[Path], None], kept: Kept, judge: Judge
) -> None:
    folder = kept(name)
    assert judge(folder).proven
    # That a dead worker did nothing later is another check's to say.
    (folder / PASSED).write_text("") if spoil is died_sooner and name == POLLED else None
    spoil(folder)

    assert judge(folder).proven == ()


def test_a_request_that_another_task_had_sent_may_be_billed_again(kept: Kept, judge: Judge) -> None:
    found = judge(kept(AHEAD))

    assert found.verdict is Verdict.PASSED, found.reason
    assert (found.billed_usd - found.ideal_usd, found.in_doubt) == (Decimal("1.20"), 1)


def without_the_departure(folder: Path) -> None:
    """As if the request had not left the worker when it died."""
    lines = (folder / PASSED).read_text().splitlines(keepends=True)
    pid = json.loads((folder / HIT).read_text())["pid"]
    kept = [line for line in lines if f'"pid":{pid}' not in line or "predict" not in line]
    assert len(kept) == len(lines) - 1
    (folder / PASSED).write_text("".join(kept))


def after_its_report(folder: Path) -> None:
    """As if the reply had been on disk, and about to be reported, when the worker died."""
    lines = (folder / PASSED).read_text().splitlines()
    pid = json.loads((folder / HIT).read_text())["pid"]
    polled = next(x for x in lines if f'"pid":{pid}' in x and '"number":3' in x and "start" in x)
    (folder / PASSED).write_text("\n".join([polled.replace("polled", "completing"), *lines, ""]))


@pytest.mark.parametrize("spoil", [without_the_departure, after_its_report])
def test_no_other_request_may(spoil: Callable[[Path], None], kept: Kept, judge: Judge) -> None:
    folder = kept(AHEAD)
    spoil(folder)
    found = judge(folder)

    assert found.verdict is Verdict.FAILED
    assert "billed_at_most_expected" in found.reason


@pytest.mark.parametrize(
    ("attempts", "verdict"), [(1, Verdict.PASSED), (3, Verdict.PASSED), (4, Verdict.FAILED)]
)
def test_each_connection_of_the_dead_explains_one_lost_attempt(
    attempts: int, verdict: Verdict, kept: Kept, judge: Judge
) -> None:
    folder = kept(TAKEN)
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
    ledger = folder / "ledger.jsonl"
    bill = next(line for line in ledger.read_text().splitlines() if '"billed"' in line)
    ledger.write_text(ledger.read_text() + bill + "\n")


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
    Damage(REPLIED, paid_again, "billed_at_most_expected"),
    Damage(COMPLETING, lost, "workflows_end_as_expected"),
    Damage(COMPLETING, a_file_is_gone, "artifacts_exist_with_their_hash"),
    Damage(COMPLETING, the_key_is_told, "no_secret_is_kept"),
    Damage(POLLED, an_activity_was_tried_in_vain, "attempts_are_explained"),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: f"{d.name}-{d.check}")
def test_damage_is_seen(damage: Damage, kept: Kept, judge: Judge) -> None:
    folder = kept(damage.name)
    damage.spoil(folder)
    found = judge(folder)

    assert found.verdict is Verdict.FAILED
    assert damage.check in found.reason


def edit(file: Path, old: str, new: str, times: int = -1) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, times))
