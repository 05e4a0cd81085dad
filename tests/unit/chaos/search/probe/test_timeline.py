"""What a timeline tells of reports: which one the server took, and what a worker was told of it."""

from __future__ import annotations

from chaos.search.probe.timeline import timeline
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import Called
from tests.unit.chaos.made_history import at
from tests.unit.chaos.search.probe.made_runs import ORDER, charged, evidence


def _reported(seconds: float, *stages: str, status: str, decision: str = "") -> Called:
    crossings = tuple(
        Crossing(boundary=Boundary.parse(f"activity charge_card {stage}"), workflow_id=ORDER)
        for stage in stages
    )
    return Called(
        at=at(seconds),
        method="RespondActivityTaskCompleted",
        forwarded_at=at(seconds),
        replied_at=at(seconds),
        status=status,
        crossings=crossings,
        decision=decision,
    )


LOST = _reported(1, "completing", "completed", status="UNAVAILABLE", decision="drop")
TAKEN = _reported(1, "completing", "completed", status="OK")


def _told(*calls: Called) -> list[str]:
    found = evidence(charged())
    moments = timeline(found, found.workflows[ORDER], {"worker-1": calls}, at(1))
    return [moment.text for moment in moments if moment.mark == "wire"]


def test_of_a_lost_reply_it_tells_that_the_server_knew_and_what_the_worker_heard() -> None:
    again = _reported(2, "completing", status="NOT_FOUND")

    assert _told(LOST, again) == [
        "activity charge_card: reported done (drop)",
        "activity charge_card: is done, and the worker got UNAVAILABLE (drop)",
        "activity charge_card: reported done again, and got NOT_FOUND: the server knew",
    ]


def test_a_report_that_is_simply_taken_is_no_more_than_that() -> None:
    assert _told(TAKEN) == [
        "activity charge_card: reported done",
        "activity charge_card: is done",
    ]


def test_what_is_refused_at_first_was_not_known_to_the_server() -> None:
    first = _reported(0.5, "completing", status="UNAVAILABLE")

    assert _told(first, TAKEN)[0] == "activity charge_card: reported done, and got UNAVAILABLE"
