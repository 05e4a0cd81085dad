"""The test's side of the control routes: plan faults, set breakpoints, read the bills."""

from typing import ClassVar

from pydantic import TypeAdapter

from chaos.network.http_control import Control, ControlError
from chaos.process.waiting import within
from tests.chaos.video.fake_api.bills import Record, Records
from tests.chaos.video.fake_api.breakpoints import BreakpointSpec, BreakpointState, BreakpointStatus
from tests.chaos.video.fake_api.rule_book import RuleStatus
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.fake_api.settings import Latencies, LatencyChange

_RECORDS: TypeAdapter[Records] = TypeAdapter(tuple[Record, ...])
_RULES: TypeAdapter[tuple[RuleStatus, ...]] = TypeAdapter(tuple[RuleStatus, ...])


class FakeApiError(ControlError):
    """The stand-in refused a control request; the message says why."""


class Breakpoint:
    """A breakpoint that was set."""

    def __init__(self, api: "FakeApi", breakpoint_id: str, spec: BreakpointSpec) -> None:
        self.id = breakpoint_id
        self._api = api
        self._spec = spec

    async def status(self) -> BreakpointStatus:
        """As it is now. Raises FakeApiError if the stand-in was restarted since."""
        return BreakpointStatus.model_validate(
            await self._api.send("GET", f"/breakpoints/{self.id}")
        )

    async def resume(self) -> None:
        """Let what it stopped go on, and stop nothing more. Twice is as good as once."""
        await self._api.send("POST", f"/breakpoints/{self.id}/resume")

    async def _settled(self) -> BreakpointStatus:
        """As it is once it is reached, or after a while."""
        answer = await self._api.send("GET", f"/breakpoints/{self.id}?settled")
        return BreakpointStatus.model_validate(answer)

    async def reached(self, deadline_seconds: float) -> BreakpointStatus:
        """Return once a request stands still at it. Raises DeadlineExceededError."""
        wanted = self._spec
        what = f"the {wanted.call} with {wanted.match!r} in its prompt is stopped {wanted.when}"
        async with within(what, deadline_seconds):
            while (status := await self._settled()).state is BreakpointState.SET:
                pass
        return status


class FakeApi(Control):
    """Client of a running stand-in at `base_url`. Use it as a context manager, or close it.

    All methods raise FakeApiError where the stand-in refuses, httpx.TransportError where it is
    not there.
    """

    refusal: ClassVar[type[ControlError]] = FakeApiError

    def __init__(self, base_url: str) -> None:
        super().__init__(f"{base_url}/control")

    async def add_rule(self, rule: FaultRule) -> str:
        """Plan a fault; the rule's id."""
        answer = await self.send("POST", "/rules", rule.model_dump(mode="json"))
        return str(answer["id"])

    async def rules(self) -> tuple[RuleStatus, ...]:
        """The rules in force with their hits."""
        answer = await self.send("GET", "/rules")
        return _RULES.validate_python(answer["rules"])

    async def remove_rule(self, rule_id: str) -> None:
        """Lift one rule."""
        await self.send("DELETE", f"/rules/{rule_id}")

    async def clear_rules(self) -> None:
        """Lift all rules: the provider is healthy again."""
        await self.send("DELETE", "/rules")

    async def set_breakpoint(self, spec: BreakpointSpec) -> Breakpoint:
        """Stop the next request, or rendering, that matches."""
        answer = await self.send("POST", "/breakpoints", spec.model_dump(mode="json"))
        return Breakpoint(self, str(answer["id"]), spec)

    async def resume_all(self) -> None:
        """Let everything go on that is stopped or will be."""
        await self.send("DELETE", "/breakpoints")

    async def latencies(self) -> Latencies:
        """How long work takes now."""
        return Latencies.model_validate(await self.send("GET", "/latencies"))

    async def set_latencies(self, change: LatencyChange) -> Latencies:
        """Change how long work takes, running renderings included; what holds from now on."""
        body = change.model_dump(mode="json", exclude_none=True)
        return Latencies.model_validate(await self.send("PUT", "/latencies", body))

    async def records(self) -> Records:
        """All records so far, with the answer of every reply that reached a client."""
        answer = await self.send("GET", "/records")
        return _RECORDS.validate_python(answer["records"])
