from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.experiment.judge import judge, reason_of, verdict_of
from chaos.experiment.judge import safety as safety_of
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import COMMON, Case
from chaos.invariants import Invariant, invariant, proof, safety
from chaos.invariants.verdict import Verdict
from tests.chaos.video.scenarios.catalogue import all_scenarios

TARGET = Target(worker=("true",), task_queue="mine")
FALSE_PASSES = Path(__file__).parents[3] / "data" / "false_passes"


@invariant
def holds(evidence: Evidence) -> Iterator[str]:
    del evidence
    yield from ()


@invariant
def does_not_hold(evidence: Evidence) -> Iterator[str]:
    yield f"{len(evidence.bills)} bills are too many"


@invariant
def breaks(evidence: Evidence) -> Iterator[str]:
    nothing: dict[str, str] = {}
    yield nothing[evidence.folder.name]


@proof("not_proven")
def not_proven(evidence: Evidence) -> Iterator[str]:
    del evidence
    yield "the fault missed"


async def _no_experiment(lab: Lab) -> None:
    del lab


def _case(*invariants: Invariant, proofs: tuple[Invariant, ...] = (holds,)) -> Case:
    return Case(
        name="case",
        target=TARGET,
        experiment=_no_experiment,
        load=lambda _: (),
        proofs=proofs,
        invariants=invariants,
    )


def test_a_case_passes_where_every_check_holds(checkpoint: Evidence) -> None:
    findings = judge(_case(holds), checkpoint)

    assert verdict_of(findings) is Verdict.PASSED
    assert reason_of(findings) == "3 checks hold"


def test_a_broken_invariant_fails_and_says_why(checkpoint: Evidence) -> None:
    findings = judge(_case(holds, does_not_hold), checkpoint)

    assert verdict_of(findings) is Verdict.FAILED
    assert reason_of(findings) == "does_not_hold: 4 bills are too many"


def test_a_fault_that_missed_is_unknown(checkpoint: Evidence) -> None:
    findings = judge(_case(holds, proofs=(not_proven,)), checkpoint)

    assert verdict_of(findings) is Verdict.UNKNOWN


def test_a_failure_is_certain_even_where_the_fault_missed(checkpoint: Evidence) -> None:
    findings = judge(_case(does_not_hold, proofs=(not_proven,)), checkpoint)

    assert verdict_of(findings) is Verdict.FAILED


def test_a_check_that_breaks_is_unknown(checkpoint: Evidence) -> None:
    findings = judge(_case(breaks), checkpoint)

    assert verdict_of(findings) is Verdict.UNKNOWN
    assert "the check raised an error: KeyError" in reason_of(findings)


def test_an_experiment_in_trouble_is_unknown_unless_safety_was_broken(checkpoint: Evidence) -> None:
    entry = checkpoint.journal[0]
    trouble = Entry(at=entry.at, event=Event.TROUBLE, text="no worker came up")
    broken_off = replace(checkpoint, journal=[*checkpoint.journal, trouble])
    (case,) = [s.cases[0] for s in all_scenarios() if s.name == "checkpoint"]

    assert verdict_of(judge(case, broken_off)) is Verdict.UNKNOWN

    paid_twice = replace(broken_off, bills=[*checkpoint.bills, checkpoint.bills[-1]])
    assert verdict_of(judge(case, paid_twice)) is Verdict.FAILED


def test_a_control_passes_only_if_the_damage_is_seen(checkpoint: Evidence) -> None:
    seen = replace(_case(), must_fail=does_not_hold)
    missed = replace(_case(), must_fail=holds)
    unclear = replace(_case(), must_fail=breaks)

    assert verdict_of(judge(seen, checkpoint)) is Verdict.PASSED
    assert verdict_of(judge(missed, checkpoint)) is Verdict.FAILED
    assert verdict_of(judge(unclear, checkpoint)) is Verdict.UNKNOWN


def test_only_a_case_without_a_fault_passes_as_undisturbed(
    checkpoint: Evidence, concurrency: Evidence
) -> None:
    control = replace(_case(holds, proofs=()), undisturbed=True)

    assert verdict_of(judge(control, concurrency)) is Verdict.PASSED
    assert verdict_of(judge(control, checkpoint)) is Verdict.UNKNOWN


def test_a_case_that_names_no_proof_does_not_pass(
    checkpoint: Evidence, concurrency: Evidence
) -> None:
    silent = _case(holds, proofs=())

    for evidence in (checkpoint, concurrency):
        findings = judge(silent, evidence)
        assert verdict_of(findings) is Verdict.UNKNOWN
        assert "names_a_proof: the case names no proof" in reason_of(findings)


def test_a_proof_that_does_not_ask_for_work_in_hand_is_not_enough() -> None:
    evidence = Evidence.load(FALSE_PASSES / "server_dies_when_all_is_done")

    findings = judge(_case(holds), evidence)

    assert verdict_of(findings) is Verdict.UNKNOWN
    assert "it hit nothing: kill at temporal-server hit no work in flight" in reason_of(findings)


def test_of_a_schedule_that_was_drawn_any_fault_that_met_work_is_enough(
    checkpoint: Evidence,
) -> None:
    end = checkpoint.journal[-1].at
    missed = Entry(at=end, event=Event.FAULT, kind="pause", target="worker-2")
    evidence = replace(checkpoint, journal=[*checkpoint.journal, missed])

    assert verdict_of(judge(replace(_case(holds), seed=4), evidence)) is Verdict.PASSED
    assert verdict_of(judge(_case(holds), evidence)) is Verdict.UNKNOWN


def test_what_must_hold_of_any_target() -> None:
    assert [check.name for check in COMMON] == [
        *("workflows_end_as_expected", "no_workflow_task_fails"),
        *("billed_at_most_expected", "all_expected_is_billed", "no_secret_is_kept"),
        *("attempts_are_as_expected", "recovers_within_its_bound", "no_unplanned_exit"),
    ]


@safety
def never_holds(evidence: Evidence) -> Iterator[str]:
    del evidence
    yield "never"


def test_an_experiment_that_broke_off_is_judged_by_what_its_own_target_holds_at_any_moment(
    checkpoint: Evidence,
) -> None:
    """No target is judged by another's invariants, whatever those find in its evidence."""
    trouble = Entry(at=checkpoint.journal[0].at, event=Event.TROUBLE, text="no worker came up")
    broken_off = replace(checkpoint, journal=[*checkpoint.journal, trouble])
    case = _case(*COMMON, does_not_hold, never_holds)

    names = [finding.check for finding in judge(case, broken_off)]

    assert names == ["experiment", *(check.name for check in safety_of(case))]
    assert names[1:] == ["no_workflow_task_fails", "billed_at_most_expected", "never_holds"]
