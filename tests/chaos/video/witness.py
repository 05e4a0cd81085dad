"""How an experiment sees what the workers do at the paid API, to strike at the right moment.

Against the fake API it holds requests there and reads the provider's books. Against the real one
nothing can be held: the workers' own ledger and the server tell when the moment has come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from temporalio.client import Client
from temporalio.service import RPCError

from chaos.process.waiting import DeadlineExceededError, wait_until
from tests.chaos.video.fake_api.control import FakeApi
from tests.chaos.video.fake_api.holds import HoldRequest, HoldTarget
from tests.chaos.video.specs import VideoSpec
from workflows.models import CHARACTER
from workflows.payments.calls import PaidCall, State
from workflows.payments.journal import PaymentJournal


class Held(Protocol):
    """A moment to wait for, at which the provider stands still where that is possible."""

    async def caught(self, deadline_seconds: float) -> object:
        """Return once the moment has come."""

    async def release(self) -> None:
        """Let it go on."""


class Witness(Protocol):
    """See the module."""

    async def hold(self, request: HoldRequest) -> Held:
        """Plan to stop at a moment."""

    async def polled(self, prompt: str, longest_seconds: float) -> bool:
        """Wait for the next poll of a prompt's video, but for no longer; whether it came."""

    def close(self) -> None:
        """Let go of what it looks through."""


@dataclass(frozen=True)
class FakeWitness:
    """At the fake API."""

    control: FakeApi

    async def hold(self, request: HoldRequest) -> Held:
        """The next request, or rendering, that matches."""
        return await self.control.hold(request)

    async def polled(self, prompt: str, longest_seconds: float) -> bool:
        """It is held for as long as it takes to see it."""
        hold = await self.control.hold(HoldRequest(call=HoldTarget.POLL, match=prompt))
        try:
            await hold.caught(longest_seconds)
        except DeadlineExceededError:
            return False
        finally:
            await hold.release()
        return True

    def close(self) -> None:
        """Nothing: the stack closes its own control client."""


@dataclass(frozen=True)
class LiveWitness:
    """At the real API: by the workers' ledger and the server. `specs` are those asked for so far.

    `prefix` stands before the workflows' ids there.
    """

    client: Client
    ledger: PaymentJournal
    specs: Callable[[], Sequence[VideoSpec]]
    is_at_an_api: Callable[[], bool]
    prefix: str = ""

    async def hold(self, request: HoldRequest) -> Held:
        """Nothing is held: `caught` returns when the moment is there."""
        return _LiveMoment(self, request)

    async def polled(self, prompt: str, longest_seconds: float) -> bool:
        """By the newest heartbeat of the wait: it comes with each poll."""
        (asked,) = (asked for asked in self.specs() if prompt in asked.video_prompts)
        seen = await self._newest_wait(asked.workflow_id)

        async def is_newer() -> bool:
            return await self._newest_wait(asked.workflow_id) > seen

        try:
            await wait_until(is_newer, what="a poll", deadline_seconds=longest_seconds)
        except DeadlineExceededError:
            return False
        return True

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

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

    def calls(self, request: HoldRequest) -> Sequence[PaidCall]:
        """The paid calls whose prompt matches."""
        wanted_image = request.call is HoldTarget.IMAGE
        return [
            call
            for asked in self.specs()
            for prompt, step in asked.steps.items()
            if request.match in prompt and (step == CHARACTER) is wanted_image
            for call in self.ledger.calls(f"{self.prefix}{asked.workflow_id}", step)
        ]


@dataclass(frozen=True)
class _LiveMoment:
    witness: LiveWitness
    request: HoldRequest

    async def caught(self, deadline_seconds: float) -> object:
        await wait_until(
            self._is_here,
            what=f"a {self.request.call} of {self.request.match!r} is under way",
            deadline_seconds=deadline_seconds,
            interval_seconds=0.05,
        )
        return None

    def _is_here(self) -> bool:
        """A rendering begins when its start has its outcome. A request is on its way while it has
        none, and its worker is connected.
        """
        states = {call.state for call in self.witness.calls(self.request)}
        if self.request.call is HoldTarget.VIDEO:
            return State.DONE in states
        return State.INTENT in states and self.witness.is_at_an_api()

    async def release(self) -> None:
        """Nothing was held."""
