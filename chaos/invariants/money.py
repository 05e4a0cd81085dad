"""By the bills, nothing is paid for twice, and everything delivered was paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from chaos.evidence.bills import Thing
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants import Unmeasured, invariant, safety
from chaos.invariants.doubt import of_unfinished


@safety
def billed_at_most_expected(evidence: Evidence) -> Iterator[str]:
    """Nothing is billed more often than the charges say.

    One more is allowed only where a fault cut the request off; it is counted as waste and shown.
    """
    asked_for = _asked_for(evidence)
    for thing, count in billed_times(evidence).items():
        (item, key), specs = thing, asked_for.get(thing, ())
        excused = sum(key in spec.may_be_charged_twice for spec in specs)
        allowed = _due(thing, specs) + excused
        if not specs:
            problem = f"{item} {key!r} was billed {count} times, and no workflow requested it"
            # Where an experiment broke off, nobody may have come to say what it asked for.
            yield Unmeasured(problem) if evidence.troubles else problem
        elif count > allowed:
            yield f"{item} {key!r} was billed {count} times instead of {allowed}"


@invariant
def all_expected_is_billed(evidence: Evidence) -> Iterator[str]:
    """Everything delivered was billed, or the records have lost something."""
    billed = billed_times(evidence)
    for thing, specs in _asked_for(evidence).items():
        (item, key), due = thing, _due(thing, specs)
        if billed[thing] < due:
            found = [evidence.workflows.get(spec.workflow_id) for spec in specs]
            running = next((each for each in found if each and each.status is Status.RUNNING), None)
            problem = f"{item} {key!r} was billed {billed[thing]} times, not {due}"
            yield of_unfinished(running, problem, evidence)


def billed_times(evidence: Evidence) -> Counter[Thing]:
    """How often each thing was billed; a bill of 0 counts as well."""
    return Counter(bill.thing for bill in evidence.bills)


def _asked_for(evidence: Evidence) -> Mapping[Thing, Sequence[WorkflowSpec]]:
    """The workflows that each thing is charged for: several may share one."""
    found: dict[Thing, list[WorkflowSpec]] = {}
    for spec in evidence.newest_specs:
        for thing in spec.due:
            found.setdefault(thing, []).append(spec)
    return found


def _due(thing: Thing, specs: Sequence[WorkflowSpec]) -> int:
    return sum(spec.due[thing] for spec in specs)
