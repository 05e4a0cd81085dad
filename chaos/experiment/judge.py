"""From a case and its evidence to findings and a verdict. Pure, so it can be repeated later."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.evidence.case import Evidence
from chaos.experiment.scenario import Case
from chaos.invariants import Invariant
from chaos.invariants.figures import keeps_its_bounds, no_figures
from chaos.invariants.goals import assertions_hold, has_assertions
from chaos.invariants.proofs.work import faults_met_work, is_undisturbed, names_a_proof
from chaos.invariants.verdict import Finding, Verdict, merge


def safety(case: Case) -> Sequence[Invariant]:
    """Invariants that hold at any time, so that they are judged even if the experiment stopped
    early.
    """
    return [check for check in case.invariants if check.at_any_moment]


def proofs(case: Case) -> Sequence[Invariant]:
    """The proofs that a case's fault hit: its own, and that it hit work in flight."""
    if case.undisturbed:
        return (*case.proofs, is_undisturbed)
    own = case.proofs or (names_a_proof,)
    return (*own, faults_met_work(all_kinds=case.seed is None and case.all_faults_hit))


def invariants(case: Case) -> Sequence[Invariant]:
    """What must hold after a case: its invariants, and the bounds of its figures."""
    if case.figures is no_figures:
        return case.invariants
    return (*case.invariants, keeps_its_bounds(case.figures))


def judge(case: Case, evidence: Evidence) -> Sequence[Finding]:
    """All findings of a case: its proofs, then its invariants; where its workers assert something
    of themselves, that as well.
    """
    asserted = (assertions_hold,) if has_assertions(evidence) else ()
    if evidence.troubles:
        trouble = Finding("experiment", Verdict.UNKNOWN, tuple(evidence.troubles))
        return (trouble, *(check.examine(evidence) for check in (*safety(case), *asserted)))
    shown = tuple(check.examine(evidence) for check in proofs(case))
    if case.must_fail:
        return (*shown, _control(case.must_fail, evidence))
    return (*shown, *(check.examine(evidence) for check in (*invariants(case), *asserted)))


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst of the findings' verdicts."""
    return merge(finding.verdict for finding in findings)


def reason_of(findings: Sequence[Finding]) -> str:
    """The problems behind the verdict, each with its check, or why it passed."""
    verdict = verdict_of(findings)
    if verdict is Verdict.PASSED:
        return f"{len(findings)} checks hold"
    return "; ".join(
        f"{finding.check}: {problem}"
        for finding in findings
        if finding.verdict is verdict
        for problem in finding.problems
    )


def _control(check: Invariant, evidence: Evidence) -> Finding:
    """A negative control: the check must see the damage that was done on purpose."""
    finding = check.examine(evidence)
    name = f"control[{check.name}]"
    if finding.verdict is Verdict.FAILED:
        return Finding(name, Verdict.PASSED)
    if finding.verdict is Verdict.UNKNOWN:
        return Finding(name, Verdict.UNKNOWN, finding.problems)
    return Finding(name, Verdict.FAILED, ("it did not detect the planted damage",))
