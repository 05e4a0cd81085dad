"""What the two headings on services share: which there are, and what no broken one may lead to."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.environment.target import Target
from chaos.evidence.case import Evidence
from chaos.guide.heading import no_workload
from chaos.invariants import invariant
from chaos.wire.journal import read_wire
from chaos.wire.repeats import Harm, repeats


def no_service(target: Target) -> str | None:
    """Why a target has no service whose calls the wire could break."""
    if missing := no_workload(target):
        return missing
    if any(service.is_on_wire for service in target.services):
        return None
    return (
        "the target has no service that its workers call over HTTP at an address that they get in "
        "a variable: name its test double in Target.services"
    )


@invariant
def nothing_is_done_twice(evidence: Evidence) -> Iterator[str]:
    """No service was asked twice for the same change in a way that it cannot tell, by the wire's
    record. Of a target that says what is to be charged, the bills tell it better.
    """
    if any(spec.charges for spec in evidence.specs):
        return
    for repeat in repeats(read_wire(evidence.folder)):
        if repeat.harm is Harm.TWICE:
            yield (
                f"{repeat.service} was asked {len(repeat.calls)} times for the same "
                f"{repeat.method} by {', '.join(repeat.during)}, and cannot tell"
            )
