"""Goals that are met and not, and what workers assert of themselves."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from chaos.evidence.assertions import assertions_file
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.experiment.judge import judge, verdict_of
from chaos.invariants.goals import GoalResult, assertions_hold, case_goals, run_goals, sometimes
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.integration.breaks.breaking import case_of
from tests.unit.chaos.made_history import at

WRITTEN = Path(__file__).parents[3] / "data" / "assertions"

IN_DOUBT = sometimes("a charge was in doubt", lambda evidence: bool(evidence.in_doubt))
TWO = sometimes("two workflows ran", lambda evidence: len(evidence.workflows) == 2)
BROKEN = sometimes("it divides", lambda _: bool(1 // 0))


def _asserting(evidence: Evidence, folder: Path, *names: str) -> Evidence:
    for name in names:
        shutil.copy(WRITTEN / f"{name}.jsonl", assertions_file(folder, f"worker-{name}"))
    return replace(evidence, folder=folder)


def test_a_goal_is_met_or_not_and_one_that_breaks_says_so(worker_crash: VideoEvidence) -> None:
    found = case_goals((IN_DOUBT, TWO, BROKEN), worker_crash)

    assert found[:2] == (
        GoalResult(name="a charge was in doubt", met=True),
        GoalResult(name="two workflows ran", met=False),
    )
    assert not found[2].met
    assert "ZeroDivisionError" in found[2].problem


def test_one_case_that_meets_a_goal_is_enough(
    worker_crash: VideoEvidence, concurrency: VideoEvidence
) -> None:
    cases = [case_goals((IN_DOUBT, TWO), each) for each in (concurrency, worker_crash)]

    assert [(goal.name, goal.met) for goal in run_goals(cases)] == [
        ("a charge was in doubt", True),
        ("two workflows ran", False),
    ]
    assert run_goals([]) == ()


def test_what_workers_must_see_once_is_a_goal(concurrency: Evidence, tmp_path: Path) -> None:
    found = case_goals((), _asserting(concurrency, tmp_path, "once"))

    assert [goal.name for goal in found if not goal.met] == [
        "Sometimes: a charge was asked for twice",
        "Reachable: a charge was found on the books",
        "Sometimes: a parcel came back",
    ]


def test_what_must_never_be_fails_the_check(concurrency: Evidence, tmp_path: Path) -> None:
    assert assertions_hold.examine(concurrency).verdict is Verdict.PASSED

    finding = assertions_hold.examine(_asserting(concurrency, tmp_path, "again"))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (
        "AlwaysOrUnreachable: money is positive was violated (shop.py:10)",
        "Unreachable: a parcel left without a charge was violated (shop.py:11)",
    )


def test_a_case_fails_by_what_its_workers_assert_also_if_it_broke_off(
    concurrency: VideoEvidence, tmp_path: Path
) -> None:
    case = replace(case_of("concurrency", "one_worker"), invariants=())
    sound = _asserting(concurrency, tmp_path, "once")
    assert [finding.check for finding in judge(case, sound)][-1] == "assertions_hold"
    assert verdict_of(judge(case, sound)) is Verdict.PASSED

    wrong = _asserting(concurrency, tmp_path, "again")
    trouble = Entry(at=at(0), event=Event.TROUBLE, text="it broke off")
    for journal in (wrong.journal, [*wrong.journal, trouble]):
        assert verdict_of(judge(case, replace(wrong, journal=journal))) is Verdict.FAILED


def test_a_damaged_file_is_unknown_and_no_goal_is_lost_for_it(
    concurrency: VideoEvidence, tmp_path: Path
) -> None:
    assertions_file(tmp_path, "worker-1").write_text("nonsense\n")
    damaged = replace(concurrency, folder=tmp_path)

    assert assertions_hold.examine(damaged).verdict is Verdict.UNKNOWN
    assert [goal.name for goal in case_goals((IN_DOUBT,), damaged)] == ["a charge was in doubt"]
    case = replace(case_of("concurrency", "one_worker"), invariants=())
    assert verdict_of(judge(case, damaged)) is Verdict.UNKNOWN


def test_without_assertions_nothing_more_is_judged(concurrency: VideoEvidence) -> None:
    case = replace(case_of("concurrency", "one_worker"), invariants=())

    assert "assertions_hold" not in {finding.check for finding in judge(case, concurrency)}
