from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.scenarios.fleet_checks import (
    died_again_and_again,
    hung_until_replaced,
    worker_and_server_were_killed,
    workers_were_killed_at_once,
)
from tests.unit.video.edits import entries, later, of, without, without_records
from tests.unit.video.scenarios.retold import (
    FLEET,
    TARGET,
    Change,
    lost_with,
    pid_of,
    says,
    told_by_a_fleet,
)

CRASH, RESTART = "crash-single", "restart-single"
ONE = workers_were_killed_at_once(FLEET, 1)
LOOP = died_again_and_again(FLEET, CRASH, 1)
HANG = hung_until_replaced(FLEET, 25)
WITH_SERVER = worker_and_server_were_killed(FLEET, 3)


@pytest.fixture
def one(worker_crash: VideoEvidence, with_history: Change, tmp_path: Path) -> VideoEvidence:
    """The second worker of the crash, as a fleet's: it awaited the video."""
    lost = lost_with(pid_of(worker_crash, "worker-2"), "await_video")
    return told_by_a_fleet(with_history(worker_crash, CRASH, lost), tmp_path, ["worker-2"])


@pytest.fixture
def loop(worker_crash: VideoEvidence, tmp_path: Path) -> VideoEvidence:
    """Both workers of the crash: one had the image in flight, one awaited the video."""
    return told_by_a_fleet(worker_crash, tmp_path, ["worker-1", "worker-2"])


@pytest.fixture
def hung(one: VideoEvidence) -> VideoEvidence:
    """The kill as a hang, whose end the fleet saw to."""
    pid = next(entry.pid for entry in one.journal if entry.event is Event.SIGNALED)
    says(one.folder, f"(pid {pid}) hangs; it is killed")
    hangs = entries(one, of(event=Event.FAULT, target=TARGET), kind="hang")
    return entries(hangs, of(event=Event.EXITED, target=TARGET), event=Event.HEALED)


@pytest.fixture
def with_server(
    server_restart: VideoEvidence, with_history: Change, tmp_path: Path
) -> VideoEvidence:
    """The worker of the restart was killed with the server."""
    pid = pid_of(server_restart, "worker-1")
    evidence = with_history(server_restart, RESTART, lost_with(pid, "await_video"))
    evidence = told_by_a_fleet(evidence, tmp_path, ["worker-1"])
    hit = evidence.first_entry(Event.SIGNALED, target="temporal-server")
    assert hit
    kill = hit.model_copy(update={"target": TARGET, "pid": pid})
    gone = Entry(at=hit.at + timedelta(milliseconds=9), event=Event.EXITED, target=TARGET, pid=pid)
    journal = sorted((*evidence.journal, kill, gone), key=lambda entry: entry.at)
    return replace(evidence, journal=journal)


@pytest.mark.parametrize(
    ("name", "check"), [("one", ONE), ("loop", LOOP), ("hung", HANG), ("with_server", WITH_SERVER)]
)
def test_what_was_struck_is_proven(
    name: str, check: Invariant, request: pytest.FixtureRequest
) -> None:
    assert check.examine(request.getfixturevalue(name)).problems == ()


def test_fewer_than_planned_are_unknown(one: VideoEvidence) -> None:
    finding = workers_were_killed_at_once(FLEET, 2).examine(one)

    assert finding.verdict is Verdict.UNKNOWN
    assert "killed, not 2" in finding.problems[0]


def test_one_after_the_other_is_not_at_once(loop: VideoEvidence) -> None:
    finding = workers_were_killed_at_once(FLEET, 2).examine(loop)

    assert "the workers of fleet-1 were not killed at once" in finding.problems


@pytest.mark.parametrize("name", ["one", "loop", "with_server"])
def test_a_worker_that_was_not_seen_to_end_is_unknown(
    name: str, request: pytest.FixtureRequest
) -> None:
    evidence: VideoEvidence = request.getfixturevalue(name)
    check = {"one": ONE, "loop": LOOP, "with_server": WITH_SERVER}[name]

    unseen = without(evidence, of(event=Event.EXITED, target=TARGET))
    assert "was not seen to end" in check.examine(unseen).problems[0]
    says(evidence.folder, "nothing")
    assert "does not say" in check.examine(evidence).problems[0]


@pytest.mark.parametrize("name", ["one", "with_server"])
def test_a_worker_that_nothing_was_lost_with_is_unknown(
    name: str, request: pytest.FixtureRequest, with_history: Change
) -> None:
    evidence: VideoEvidence = request.getfixturevalue(name)
    check, workflow_id = {"one": (ONE, CRASH), "with_server": (WITH_SERVER, RESTART)}[name]

    idle = with_history(evidence, workflow_id, lost_with(1, "await_video"))

    assert "had no wait in flight" in check.examine(idle).problems[0]


def test_a_loop_whose_workers_had_nothing_yet_is_unknown(loop: VideoEvidence) -> None:
    def of(*calls: Call) -> VideoEvidence:
        return without_records(loop, lambda r: isinstance(r, Received) and r.call in calls)

    assert "no image was asked for" in LOOP.examine(of(Call.IMAGE)).problems[0]
    assert "did not await the video" in LOOP.examine(of(Call.POLL)).problems[0]
    assert "after the last kill" in LOOP.examine(of(Call.POLL)).problems[1]


def test_a_loop_that_is_too_short_is_unknown(loop: VideoEvidence) -> None:
    assert "not 5" in died_again_and_again(FLEET, CRASH, 4).examine(loop).problems[0]


def test_a_hang_that_lasts_too_long_or_is_not_noticed_is_unknown(hung: VideoEvidence) -> None:
    late = hung_until_replaced(FLEET, 0).examine(hung)
    says(hung.folder, "nothing")

    assert "was not gone within 0 s" in late.problems[0]
    assert "did not say" in HANG.examine(hung).problems[0]
    quiet = without(hung, of(kind="hang"))
    assert HANG.examine(quiet).problems == ("no worker of fleet-1 was made to hang",)


def test_a_server_that_was_struck_at_another_time_is_unknown(with_server: VideoEvidence) -> None:
    before = entries(with_server, of(target=TARGET), at=later(timedelta(seconds=-2)))

    problems = WITH_SERVER.examine(before).problems

    assert problems == ("the worker and the server were not killed at once",)


def test_a_server_that_was_down_too_briefly_is_unknown(with_server: VideoEvidence) -> None:
    finding = worker_and_server_were_killed(FLEET, 60).examine(with_server)

    assert finding.problems == ("the server was not down for 60 s and then back",)
