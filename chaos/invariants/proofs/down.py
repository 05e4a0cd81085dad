"""Proof that a process of any kind was away while a workflow was under way."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.seen import died_of_it, killed


def was_down(target: str, workflow_id: str) -> Invariant:
    """A process died of SIGKILL and was started again, and a workflow was open all that time."""

    @proof(f"was_down[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        kill = killed(evidence, target)
        gone = died_of_it(evidence, kill) if kill else None
        if not gone:
            yield f"{target} was not seen to die of SIGKILL"
            return
        back = evidence.first_entry(Event.READY, after=gone.at, target=target)
        if not back:
            yield f"{target} did not come back"
            return
        workflow = evidence.workflows.get(workflow_id)
        if (
            workflow is None
            or workflow.started_at > gone.at
            or (workflow.closed_at and workflow.closed_at < back.at)
        ):
            yield f"{workflow_id} was not open while {target} was down"

    return judge
