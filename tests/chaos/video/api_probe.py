"""How an experiment sees what the workers do at the paid API, to break something at the right time.

The fake API has breakpoints, where requests stand still. The real one has none: the workers'
payment journal and the server tell when the point is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio.client import Client
from temporalio.service import RPCError

from chaos.process.waiting import DeadlineExceededError, wait_until
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import FakeApi
from tests.chaos.video.specs import VideoSpec
from workflows.models import CHARACTER
from workflows.payments.calls import PaidCall, State
from workflows.payments.journal import PaymentJournal


class Breakpoint(Protocol):
    """A point of a request to wait for, at which it stands still where that is possible."""

    async def reached(self, deadline_seconds: float) -> object:
        """Return once a request is there."""

    async def resume(self) -> None:
        """Let it go on."""


class ApiProbe(Protocol):
    """See the module."""

    async def set_breakpoint(self, spec: BreakpointSpec) -> Breakpoint:
        """Plan to stop there."""

    async def polled(self, prompt: str, longest_seconds: float) -> bool:
        """Wait for the next poll of a prompt's video, but for no longer; whether it came."""

    def close(self) -> None:
        """Let go of what it looks through."""


@dataclass(frozen=True)
class FakeApiProbe:
    """At the fake API."""

    control: FakeApi

    async def set_breakpoint(self, spec: BreakpointSpec) -> Breakpoint:
        """The next request, or rendering, that matches."""
        return await self.control.set_breakpoint(spec)

    async def polled(self, prompt: str, longest_seconds: float) -> bool:
        """It is stopped for as long as it takes to see it."""
        poll = await self.control.set_breakpoint(BreakpointSpec(call=BreakAt.POLL, match=prompt))
        try:
            await poll.reached(longest_seconds)
        except DeadlineExceededError:
            return False
        finally:
            await poll.resume()
        return True

    def close(self) -> None:
        """Nothing: the stack closes its own control client."""


@dataclass(frozen=True)
class LiveApiProbe:
    """At the real API: by the workers' payment journal and the server. `specs` are those started so
    far.

    `prefix` stands before the workflows' ids there.
    """

    client: Client
    journal: PaymentJournal
    specs: Callable[[], Sequence[VideoSpec]]
    is_at_an_api: Callable[[], bool]
    prefix: str = ""

    async def set_breakpoint(self, spec: BreakpointSpec) -> Breakpoint:
        """Nothing is stopped: `reached` returns when a request is there."""
        return _LiveBreakpoint(self, spec)

    async def polled(self, prompt: str, longest_seconds: float) -> bool:
        """By the newest heartbeat of the wait: it comes with each poll."""
        (spec,) = (spec for spec in self.specs() if prompt in spec.video_prompts)
        seen = await self._newest_wait(spec.workflow_id)

        async def is_newer() -> bool:
            return await self._newest_wait(spec.workflow_id) > seen

        try:
            await wait_until(is_newer, what="a poll", deadline_seconds=longest_seconds)
        except DeadlineExceededError:
            return False
        return True

    def close(self) -> None:
        """Let go of the payment journal."""
        self.journal.close()

    async def _newest_wait(self, workflow_id: str) -> float:
        try:
            described = await self.client.get_workflow_handle(
                f"{self.prefix}{workflow_id}"
            ).describe()
        except RPCError:
            return 0.0
        waits = [
            pending.last_heartbeat_time.ToDatetime().timestamp()
            for pending in described.raw_description.pending_activities
            if pending.activity_type.name == "await_video"
            and pending.HasField("last_heartbeat_time")
        ]
        return max(waits, default=0.0)

    def calls(self, wanted: BreakpointSpec) -> Sequence[PaidCall]:
        """The paid calls whose prompt matches."""
        is_image = wanted.call is BreakAt.IMAGE
        return [
            call
            for spec in self.specs()
            for prompt, step in spec.steps.items()
            if wanted.match in prompt and (step == CHARACTER) is is_image
            for call in self.journal.calls(f"{self.prefix}{spec.workflow_id}", step)
        ]


@dataclass(frozen=True)
class _LiveBreakpoint:
    probe: LiveApiProbe
    spec: BreakpointSpec

    async def reached(self, deadline_seconds: float) -> object:
        await wait_until(
            self._is_here,
            what=f"a {self.spec.call} of {self.spec.match!r} is under way",
            deadline_seconds=deadline_seconds,
            interval_seconds=0.05,
        )
        return None

    def _is_here(self) -> bool:
        """A rendering begins when its start has its outcome. A request is on its way while it has
        none, and its worker is connected.
        """
        states = {call.state for call in self.probe.calls(self.spec)}
        if self.spec.call is BreakAt.VIDEO:
            return State.DONE in states
        return State.INTENT in states and self.probe.is_at_an_api()

    async def resume(self) -> None:
        """Nothing was stopped."""
