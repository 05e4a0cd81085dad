"""Every recovery is as quick as the timeouts in force promise."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Late, Unmeasured, invariant
from chaos.invariants.hanging import policy_told
from chaos.invariants.recovery import first_retries, recoveries, stood_still, took_over, unmeasured


@invariant
def recovers_within_its_bound(evidence: Evidence) -> Iterator[str]:
    """After each fault that cost anything, work goes on no later than predicted. What a killed
    worker had in hand, and nobody saw taken up again, was not measured, and so is not shown.

    Where a system makes a promise, it is one for the tasks of the workflows themselves as well, in
    which local activities run; nothing is predicted of them else.
    """
    found, retries = recoveries(evidence), first_retries(evidence)
    for fault in evidence.journal:
        recovery = found.get(fault.at) if fault.event is Event.FAULT else None
        if recovery and recovery.waited > recovery.bound:
            retry = retries.get(fault.at)
            yield Late(
                f"after the fault {fault.kind} at {fault.target} work went on after "
                f"{recovery.waited:.1f} s, not within {recovery.bound:.1f} s"
                + (_policy(retry.activity) if retry and took_over(retry.activity) else "")
            )
        elif fault.event is Event.FAULT and evidence.timings.recovery_seconds is not None:
            yield from _late_tasks(evidence, fault, evidence.timings.recovery_seconds)
    for fault, workflow, activity in unmeasured(evidence):
        yield Unmeasured(
            f"{fault.target} was killed with {activity.kind} of {workflow.workflow_id} in hand, "
            "and no attempt is seen to follow from that: its recovery is not measured"
            + _policy(activity)
        )


def _policy(activity: Activity) -> str:
    """That only a time limit told of the lost attempt, where it was so."""
    policy = policy_told(activity)
    return f" ({activity.kind}: {policy})" if policy else ""


def _late_tasks(evidence: Evidence, fault: Entry, promised: float) -> Iterator[str]:
    for workflow, seconds in stood_still(evidence, fault):
        if seconds > promised:
            yield Late(
                f"after the fault {fault.kind} at {fault.target} a task of {workflow.workflow_id} "
                f"itself was taken up after {seconds:.1f} s, not within {promised:.1f} s"
            )
