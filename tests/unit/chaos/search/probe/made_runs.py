"""Runs made by hand: a history, and what passed on the wire."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.evidence.pending import Pending, PendingActivity
from chaos.search.probe.baseline import Baseline
from chaos.search.probe.classify import Disturbed, classify
from chaos.search.probe.observed import Observed, observe
from chaos.search.probe.record import Finding
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import Called, WireRecord
from tests.unit.chaos.made_history import Made, at, evidence_of

ORDER = "order-1"
Wire = dict[str, Sequence[WireRecord]]


def charged(result: Any = None, *, attempt: int = 1, workflow_id: str = ORDER) -> Made:
    """An order whose card is charged, and that returned something, or nothing."""
    made = Made(workflow_id)
    made.done(made.scheduled("charge_card"), attempt=attempt)
    return returned(made, result)


def returned(made: Made, result: Any = None) -> Made:
    """The end of a run, and its result."""
    event = made.ended().events[-1]
    if result is not None:
        payload = event.workflow_execution_completed_event_attributes.result.payloads.add()
        payload.metadata["encoding"] = b"json/plain"
        payload.data = json.dumps(result).encode()
    return made


def evidence(made: Made, pending: Pending | None = None, **fields: Any) -> Evidence:
    """Of one run."""
    return replace(evidence_of(made.workflow(pending)), **fields)


def lost() -> Evidence:
    """Of a workflow that the server does not know."""
    return replace(evidence(charged()), workflows={})


def given(text: str, attempt: int = 1, seconds: float = 1.0) -> Called:
    """A call that was at a boundary and came through."""
    crossing = Crossing(boundary=Boundary.parse(text), workflow_id=ORDER, attempt=attempt)
    then = at(seconds)
    return Called(
        at=then,
        method="PollActivityTaskQueue",
        forwarded_at=then,
        replied_at=then,
        delivered_at=then,
        status="OK",
        crossings=(crossing,),
    )


def asked(  # noqa: PLR0913 - each by its name
    subject: str = "POST /charges",
    *,
    key: str = "",
    during: Sequence[str] = ("charge_card",),
    forwarded: bool = True,
    body: str = "same",
    status: str = "200",
) -> Called:
    """A request of a service."""
    crossing = Crossing(boundary=Boundary.parse(f"call {subject} answered"), during=tuple(during))
    return Called(
        at=at(1),
        method=subject,
        forwarded_at=at(1) if forwarded else None,
        crossings=(crossing,),
        idempotency_key=key,
        body_sha256=body,
        status=status,
    )


def wire(*records: WireRecord) -> Wire:
    """The lines of one worker."""
    to_service = [r for r in records if isinstance(r, Called) and r.method.startswith(("P", "G"))]
    services = [r for r in to_service if r.crossings[0].during]
    return {
        "worker-1": [r for r in records if r not in services],
        "worker-1>payments": services,
    }


def seen(found: Evidence, *records: WireRecord) -> Observed:
    """What a run shows."""
    return observe(found, wire(*records))


def normal(*runs: Observed) -> Baseline:
    """Of these, or of two that are alike."""
    return Baseline.of(runs or [seen(evidence(charged({"id": 7})))] * 2)


def found(
    run: Evidence, *records: WireRecord, baseline: Baseline | None = None, **fields: Any
) -> Sequence[Finding]:
    """What becomes of a disturbed run."""
    disturbed = Disturbed(
        evidence=run,
        observed=seen(run, *records),
        hit_at=fields.pop("hit_at", at(2)),
        patience_seconds=60.0,
        **fields,
    )
    return classify(disturbed, baseline or normal())


def with_worker(started: float, *, kind: str = "charge_card", **fields: Any) -> Pending:
    """An open activity, given to a worker then."""
    activity = PendingActivity(
        activity_id="2", kind=kind, attempt=1, started_at=at(started), worker="gone", **fields
    )
    return Pending(at=at(20), activities=(activity,))


def strained(pressure: float) -> tuple[Entry, ...]:
    """A journal that tells how busy the machine was."""
    entry = {"at": at(3), "event": Event.STRAIN}
    strain = {"pressure": pressure, "steal": 0.0, "lag_seconds": 0.0}
    return (Entry.model_validate({**entry, "strain": strain}),)
