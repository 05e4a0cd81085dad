"""Nothing is paid for twice, and what the workflow says it cost is what the provider billed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from chaos.evidence import Evidence
from chaos.fake_api.ledger import Billed
from chaos.invariants import invariant
from workflows.models import Progress


@invariant
def billed_at_most_expected(evidence: Evidence) -> Iterator[str]:
    """No image or video, told apart by its prompt, is billed more often than it should be.

    One more is allowed only where a fault cut the request off in flight; that is counted as
    waste and shown.
    """
    billed = Counter((record.item, record.prompt) for record in evidence.billed)
    for expected in evidence.expectations:
        for (item, prompt), ideal in expected.ideal.items():
            allowed = ideal + (prompt in expected.may_be_billed_twice)
            count = billed.pop((item, prompt), 0)
            if count > allowed:
                yield f"{item} {prompt!r} was billed {count} times instead of {allowed}"
    for (item, prompt), count in billed.items():
        yield f"{item} {prompt!r} was billed {count} times and asked for by no workflow"


@invariant
def all_expected_is_billed(evidence: Evidence) -> Iterator[str]:
    """What was delivered was also billed: else the ledger has lost something."""
    billed = Counter((record.item, record.prompt) for record in evidence.billed)
    for expected in evidence.expectations:
        for (item, prompt), ideal in expected.ideal.items():
            if billed[item, prompt] < ideal:
                yield f"{item} {prompt!r} was billed {billed[item, prompt]} times, not {ideal}"


@invariant
def cost_matches_ledger(evidence: Evidence) -> Iterator[str]:
    """A workflow's own cost is the provider's bill for its prompts, less what went astray.

    Astray is a bill whose answer found no client any more.
    """
    for expected, workflow in evidence.expected_workflows():
        progress = workflow.result(Progress)
        if progress is None:
            yield f"{expected.workflow_id} has no result to tell its cost"
            continue
        bills = [record for record in evidence.billed if record.prompt in expected.prompts]
        reached = sum((b.amount_usd for b in bills if _reached_client(evidence, b)), Decimal(0))
        if progress.cost_usd != reached:
            yield (
                f"{expected.workflow_id} says ${progress.cost_usd}, "
                f"but ${reached} was billed and delivered"
            )


def _reached_client(evidence: Evidence, bill: Billed) -> bool:
    answer = evidence.answers.get(bill.request_id)
    return answer is not None and answer.client_connected
