"""Nothing is paid for twice, and all that was delivered was paid for, by the bills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chaos.evidence.bills import Thing
from chaos.evidence.case import Evidence
from chaos.invariants import invariant, safety
from chaos.invariants.doubt import of_unfinished


@safety
def billed_at_most_expected(evidence: Evidence) -> Iterator[str]:
    """Nothing is billed more often than the charges say.

    One more is allowed only where a fault cut the request off in flight; that is counted as waste
    and shown.
    """
    billed = billed_times(evidence)
    for spec in evidence.specs:
        for (item, key), due in spec.due.items():
            allowed = due + (key in spec.may_be_charged_twice)
            count = billed.pop((item, key), 0)
            if count > allowed:
                yield f"{item} {key!r} was billed {count} times instead of {allowed}"
    for (item, key), count in billed.items():
        yield f"{item} {key!r} was billed {count} times and asked for by no workflow"


@invariant
def all_expected_is_billed(evidence: Evidence) -> Iterator[str]:
    """What was delivered was also billed: else the books have lost something."""
    billed = billed_times(evidence)
    for spec in evidence.specs:
        for (item, key), due in spec.due.items():
            if billed[item, key] < due:
                problem = f"{item} {key!r} was billed {billed[item, key]} times, not {due}"
                yield of_unfinished(evidence.workflows.get(spec.workflow_id), problem)


def billed_times(evidence: Evidence) -> Counter[Thing]:
    """How often each thing was billed; one of nothing counts as well."""
    return Counter(bill.thing for bill in evidence.bills)
