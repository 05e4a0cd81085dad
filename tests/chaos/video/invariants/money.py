"""Nothing is paid for twice, and what the workflow says it cost is what the provider billed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from chaos.invariants import Unmeasured, invariant, safety
from chaos.invariants.doubt import of_unfinished
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.specs import VideoSpec
from workflows.models import Progress
from workflows.payments.calls import UNCERTAIN, State


@invariant
def cost_matches_bills(evidence: VideoEvidence) -> Iterator[str]:
    """A workflow's own cost is the provider's bill for its prompts, but for what it calls
    possible waste.
    """
    for expected, workflow in evidence.specified_workflows():
        progress = workflow.result(Progress)
        if progress is None:
            problem = f"{expected.workflow_id} has no result to tell its cost"
            yield of_unfinished(workflow, problem)
            continue
        bills = [record for record in evidence.billed if record.prompt in expected.prompts]
        billed = sum((bill.amount_usd for bill in bills), Decimal(0))
        if not 0 <= billed - progress.cost_usd <= progress.possible_waste_usd:
            yield (
                f"{expected.workflow_id} says ${progress.cost_usd} and at most "
                f"${progress.possible_waste_usd} of waste, but ${billed} was billed"
            )


@invariant
def every_bill_is_on_record(evidence: VideoEvidence) -> Iterator[str]:
    """Each bill has its call in the workers' payment journal; a second one for the same step is in
    doubt there, or late.
    """
    for expected in evidence.specs:
        for item, prompt in _wanted(expected):
            paid = [bill for bill in evidence.billed if bill.amount_usd]
            bills = sum((bill.item, bill.prompt) == (item, prompt) for bill in paid)
            states = Counter(call.state for call in evidence.calls_for(expected, prompt))
            if bills > sum(states.values()) - states[State.REFUSED]:
                yield f"{item} {prompt!r} was billed {bills} times; on record is {dict(states)}"
            if states[State.DONE] > 1:
                yield f"{item} {prompt!r} has {states[State.DONE]} outcomes"


@safety
def billed_once_unless_in_doubt(evidence: VideoEvidence) -> Iterator[str]:
    """Beyond a step's first bill there are at most as many as its calls that the workers' own
    payment journal has in doubt; and nobody is billed for what nobody asked for.
    """
    billed = Counter((bill.item, bill.prompt) for bill in evidence.billed if bill.amount_usd)
    for expected in evidence.specs:
        for item, prompt in _wanted(expected):
            calls = evidence.calls_for(expected, prompt)
            in_doubt = sum(call.state in UNCERTAIN for call in calls)
            bills = billed.pop((item, prompt), 0)
            if bills > 1 + in_doubt:
                problem = f"{item} {prompt!r} was billed {bills} times; {in_doubt} call(s) in doubt"
                is_lost = evidence.troubles and not calls  # of an experiment that broke off
                yield Unmeasured(problem) if is_lost else problem
    for (item, prompt), bills in billed.items():
        problem = f"{item} {prompt!r} was billed {bills} times, and no workflow requested it"
        yield Unmeasured(problem) if evidence.troubles else problem


def _wanted(expected: VideoSpec) -> Iterator[tuple[Item, str]]:
    yield Item.IMAGE, expected.character_prompt
    for prompt in expected.video_prompts:
        yield Item.VIDEO, prompt
