from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import Called, Opened, WireRecord
from chaos.wire.repeats import Harm, repeats

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECONDS = count()


def call(  # noqa: PLR0913 - a record has as many parts
    method: str = "POST /charges",
    *,
    body: str = "b",
    target: str = "t",
    key: str = "",
    workflow: str = "order-7",
    during: tuple[str, ...] = ("charge",),
    attempt: int = 1,
    delivered: bool = False,
    **notes: Any,
) -> Called:
    """One that reached the service, whose worker never heard."""
    at = NOON + timedelta(seconds=next(SECONDS))
    crossing = Crossing(
        boundary=Boundary.parse(f"call {method} leaving"),
        workflow_id=workflow,
        run_id=workflow and f"run of {workflow}",
        attempt=attempt,
        during=during,
    )
    given = {
        "at": at,
        "method": method,
        "forwarded_at": at,
        "delivered_at": at if delivered else None,
        "body_sha256": body,
        "target_sha256": target,
        "idempotency_key": key,
        "crossings": (crossing,),
    }
    return Called(**given | notes)


def found(*calls: Called) -> list[tuple[Harm, int]]:
    return [(each.harm, len(each.calls)) for each in repeats({"worker-1>payments": calls})]


def test_the_same_body_without_a_key_was_done_twice() -> None:
    assert found(call(), call(attempt=2)) == [(Harm.TWICE, 2)]
    assert found(call(), call(body="c")) == []
    assert found(call(), call("POST /refunds")) == []
    assert found(call(target="/orders/7"), call(target="/orders/8")) == []
    assert found(call()) == []


def test_the_same_key_tells_whatever_the_body_is() -> None:
    assert found(call(key="k"), call(key="k", attempt=2)) == [(Harm.TELLS, 2)]
    assert found(call(key="k"), call(key="k", body="c")) == [(Harm.TELLS, 2)]
    assert found(call(key="k"), call("POST /refunds", key="k")) == []


def test_the_same_body_with_other_keys_was_done_twice() -> None:
    assert found(call(key="k"), call(key="l", attempt=2)) == [(Harm.TWICE, 2)]
    assert found(call(key="k"), call(attempt=2)) == [(Harm.TWICE, 2)]
    assert found(call(key="k"), call(key="k"), call(key="l")) == [(Harm.TWICE, 3)]
    assert found(call(key="k"), call(key="l", body="c")) == []


@pytest.mark.parametrize("verb", ["GET", "HEAD", "OPTIONS"])
def test_what_only_reads_harms_nobody(verb: str) -> None:
    assert found(call(f"{verb} /charges"), call(f"{verb} /charges")) == [(Harm.NONE, 2)]


@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
def test_put_and_delete_are_told_by_their_target(verb: str) -> None:
    assert found(call(f"{verb} /orders/*"), call(f"{verb} /orders/*")) == [(Harm.TELLS, 2)]
    assert found(call(f"{verb} /orders/*"), call(f"{verb} /orders/*", target="u")) == []


@pytest.mark.parametrize(
    "notes",
    [
        {"forwarded_at": None},
        {"body_sha256": ""},
        {"status": "429"},
        {"status": "409"},
    ],
)
def test_what_the_service_never_had_or_turned_away_does_not_count(notes: dict[str, Any]) -> None:
    assert found(call(**notes), call()) == []
    assert found(call(**notes), call(), call()) == [(Harm.TWICE, 2)]


@pytest.mark.parametrize("notes", [{"status": "503"}, {"status": "404", "decision": "404"}, {}])
def test_what_the_service_may_have_done_counts(notes: dict[str, Any]) -> None:
    assert found(call(**notes), call()) == [(Harm.TWICE, 2)]


def test_workflows_and_activities_that_ask_for_the_same_are_kept_apart() -> None:
    assert found(call(), call(workflow="order-8")) == []
    assert found(call(), call(during=("charge 2",))) == []
    both = ("charge", "ship")
    assert found(call(during=both), call()) == [(Harm.TWICE, 2)]
    assert found(call(during=both), call(), call(during=("ship",))) == [(Harm.TWICE, 3)]
    assert found(call(), call(during=("ship",))) == []


def test_whose_is_unknown_may_be_a_repeat() -> None:
    unknown = call(workflow="", during=("charge",))
    assert found(unknown, call(workflow="")) == [(Harm.PERHAPS, 2)]
    assert found(unknown, call()) == [(Harm.PERHAPS, 2)]
    assert found(call(workflow="", key="k"), call(workflow="", key="k")) == [(Harm.TELLS, 2)]


def test_polling_is_no_repeat_but_asking_again_after_an_error_is() -> None:
    answered = [call(delivered=True, status="200") for _ in range(5)]
    assert found(*answered) == []
    assert found(*answered, call(attempt=2)) == [(Harm.TWICE, 2)]
    assert found(call(delivered=True, status="503"), call()) == [(Harm.TWICE, 2)]
    assert found(call(), call(delivered=True, status="200")) == [(Harm.TWICE, 2)]
    unknown = [call(workflow="", delivered=True, status="200") for _ in range(2)]
    assert found(*unknown) == [(Harm.PERHAPS, 2)]


def test_workers_take_over_from_each_other_and_services_do_not() -> None:
    opened = Opened(listen="127.0.0.1:1", upstream="127.0.0.1:2")
    wire: dict[str, list[WireRecord]] = {
        "worker-1": [call("POST /charges")],
        "worker-1>payments": [opened, call()],
        "worker-2>payments": [call(attempt=2)],
        "worker-2>mail": [call(attempt=2)],
    }
    (repeat,) = repeats(wire)
    assert (repeat.service, len(repeat.calls)) == ("payments", 2)


def test_the_worst_stands_first() -> None:
    wire = {
        "worker-1>mail": [call("GET /a"), call("GET /a"), call(key="k"), call(key="k")],
        "worker-1>payments": [call(), call(), *(call(body="c", workflow="") for _ in range(2))],
    }
    assert [repeat.harm for repeat in repeats(wire)] == list(Harm)
