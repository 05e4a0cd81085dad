"""Which request or rendering a hold catches, and for how long."""

import asyncio
from datetime import UTC, datetime

from tests.chaos.video.fake_api.holds import (
    Caught,
    HoldBook,
    HoldRequest,
    HoldState,
    HoldStatus,
    HoldTarget,
)
from tests.chaos.video.fake_api.ledger import Call, Outcome
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.fake_api.state import Operation


def request(request_id: str, *, prompt: str = "a fox", call: Call = Call.IMAGE) -> Caught:
    return Caught(
        call=call,
        when=When.BEFORE_BILLING,
        prompt=prompt,
        request_id=request_id,
        operation=None,
        connected=lambda: True,
    )


def operation(name: str, prompt: str = "a fox") -> Operation:
    return Operation(
        name=name,
        request_id=f"request of {name}",
        prompt=prompt,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        outcome=Outcome.OK,
        file=None,
    )


async def passes(holds: HoldBook, caught: Caught) -> bool:
    """Whether the request goes through at once. A held one is given up."""
    stopping = asyncio.create_task(holds.stop(caught))
    await asyncio.sleep(0)
    passed = stopping.done()
    stopping.cancel()
    return passed


def status(holds: HoldBook, hold_id: str) -> HoldStatus:
    found = holds.status(hold_id)
    assert found is not None
    return found


async def test_a_hold_stops_one_request_until_its_release() -> None:
    holds = HoldBook()
    hold_id = holds.add(HoldRequest(call=HoldTarget.IMAGE), ())
    assert status(holds, hold_id).state is HoldState.WAITING
    stopping = asyncio.create_task(holds.stop(request("r1")))
    await asyncio.sleep(0)
    held = status(holds, hold_id)
    assert (held.state, held.request_id, held.client_connected) == (HoldState.HOLDING, "r1", True)
    assert not stopping.done()
    assert holds.release(hold_id)
    await stopping
    assert status(holds, hold_id).state is HoldState.RELEASED


async def test_a_hold_catches_one_request_only() -> None:
    holds = HoldBook()
    holds.add(HoldRequest(call=HoldTarget.IMAGE), ())
    assert [await passes(holds, request(name)) for name in ("r1", "r2")] == [False, True]


async def test_a_hold_passes_by_what_it_is_to_skip_and_what_does_not_match() -> None:
    holds = HoldBook()
    holds.add(HoldRequest(call=HoldTarget.IMAGE, match="fox", skip=1), ())
    caught = [
        request("cat", prompt="a cat"),
        request("video", call=Call.VIDEO_START),
        request("late").model_copy(update={"when": When.AFTER_BILLING}),
        request("first"),
        request("second"),
    ]
    assert [await passes(holds, each) for each in caught] == [True, True, True, True, False]


async def test_a_hold_released_early_catches_nothing() -> None:
    holds = HoldBook()
    hold_id = holds.add(HoldRequest(call=HoldTarget.IMAGE), ())
    holds.release_all()
    assert await passes(holds, request("r1"))
    assert status(holds, hold_id).state is HoldState.RELEASED


def test_a_rendering_hold_keeps_the_next_operation() -> None:
    holds = HoldBook()
    hold_id = holds.add(HoldRequest(call=HoldTarget.VIDEO, match="fox"), ())
    cat, fox, other_fox = operation("cat", "a cat"), operation("fox"), operation("other")
    for each in (cat, fox, other_fox):
        holds.started(each)
    assert [holds.keeps(each) for each in (cat, fox, other_fox)] == [False, True, False]
    assert status(holds, hold_id).operation == "fox"
    holds.release(hold_id)
    assert not holds.keeps(fox)


def test_a_rendering_hold_takes_an_operation_under_way_that_no_other_hold_has() -> None:
    holds = HoldBook()
    first, second = operation("first"), operation("second")
    for _ in range(2):
        holds.add(HoldRequest(call=HoldTarget.VIDEO), (first, second))
    assert holds.keeps(first)
    assert holds.keeps(second)


def test_an_unknown_hold_has_no_state() -> None:
    holds = HoldBook()
    assert holds.status("none") is None
    assert not holds.release("none")
