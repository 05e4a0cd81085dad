"""Which request or rendering a hold catches, and for how long."""

import asyncio
from datetime import UTC, datetime

from tests.chaos.video.fake_api.bills import Call, Outcome
from tests.chaos.video.fake_api.breakpoints import (
    Arrival,
    BreakAt,
    Breakpoints,
    BreakpointSpec,
    BreakpointState,
    BreakpointStatus,
)
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.fake_api.state import Operation


def request(request_id: str, *, prompt: str = "a fox", call: Call = Call.IMAGE) -> Arrival:
    return Arrival(
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


async def passes(breakpoints: Breakpoints, arrival: Arrival) -> bool:
    """Whether the request goes through at once. A stopped one is given up."""
    stopping = asyncio.create_task(breakpoints.pass_through(arrival))
    await asyncio.sleep(0)
    passed = stopping.done()
    stopping.cancel()
    return passed


def status(breakpoints: Breakpoints, breakpoint_id: str) -> BreakpointStatus:
    found = breakpoints.status(breakpoint_id)
    assert found is not None
    return found


async def test_a_breakpoint_stops_one_request_only() -> None:
    breakpoints = Breakpoints()
    breakpoints.set(BreakpointSpec(call=BreakAt.IMAGE), ())
    assert [await passes(breakpoints, request(name)) for name in ("r1", "r2")] == [False, True]


async def test_a_breakpoint_lets_pass_what_it_is_to_skip_and_what_does_not_match() -> None:
    breakpoints = Breakpoints()
    breakpoints.set(BreakpointSpec(call=BreakAt.IMAGE, match="fox", skip=1), ())
    arrival = [
        request("cat", prompt="a cat"),
        request("video", call=Call.VIDEO_START),
        request("late").model_copy(update={"when": When.AFTER_BILLING}),
        request("first"),
        request("second"),
    ]
    assert [await passes(breakpoints, each) for each in arrival] == [True, True, True, True, False]


async def test_a_breakpoint_that_is_resumed_early_stops_nothing() -> None:
    breakpoints = Breakpoints()
    breakpoint_id = breakpoints.set(BreakpointSpec(call=BreakAt.IMAGE), ())
    breakpoints.resume_all()
    assert await passes(breakpoints, request("r1"))
    assert status(breakpoints, breakpoint_id).state is BreakpointState.RESUMED


def test_a_breakpoint_keeps_the_next_operation() -> None:
    breakpoints = Breakpoints()
    breakpoint_id = breakpoints.set(BreakpointSpec(call=BreakAt.VIDEO, match="fox"), ())
    cat, fox, other_fox = operation("cat", "a cat"), operation("fox"), operation("other")
    for each in (cat, fox, other_fox):
        breakpoints.started(each)
    assert [breakpoints.keeps(each) for each in (cat, fox, other_fox)] == [False, True, False]
    assert status(breakpoints, breakpoint_id).operation == "fox"
    breakpoints.resume(breakpoint_id)
    assert not breakpoints.keeps(fox)


def test_a_breakpoint_takes_an_operation_under_way_that_no_other_has() -> None:
    breakpoints = Breakpoints()
    first, second = operation("first"), operation("second")
    for _ in range(2):
        breakpoints.set(BreakpointSpec(call=BreakAt.VIDEO), (first, second))
    assert breakpoints.keeps(first)
    assert breakpoints.keeps(second)


def test_an_unknown_breakpoint_has_no_state() -> None:
    breakpoints = Breakpoints()
    assert breakpoints.status("none") is None
    assert not breakpoints.resume("none")
