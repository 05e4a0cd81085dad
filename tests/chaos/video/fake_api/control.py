"""The test's side of the control routes: plan faults, hold requests, read the ledger."""

from typing import ClassVar

from pydantic import TypeAdapter

from chaos.network.http_control import Control, ControlError
from chaos.process.waiting import within
from tests.chaos.video.fake_api.holds import HoldRequest, HoldState, HoldStatus
from tests.chaos.video.fake_api.ledger import Record, Records
from tests.chaos.video.fake_api.rule_book import RuleStatus
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.fake_api.settings import Latencies, LatencyChange

_RECORDS: TypeAdapter[Records] = TypeAdapter(tuple[Record, ...])
_RULES: TypeAdapter[tuple[RuleStatus, ...]] = TypeAdapter(tuple[RuleStatus, ...])


class FakeApiError(ControlError):
    """The stand-in refused a control request; the message says why."""


class Hold:
    """A hold that was set."""

    def __init__(self, api: "FakeApi", hold_id: str, request: HoldRequest) -> None:
        self.id = hold_id
        self._api = api
        self._request = request

    async def status(self) -> HoldStatus:
        """The hold as it is now. Raises FakeApiError if the stand-in was restarted since."""
        return HoldStatus.model_validate(await self._api.send("GET", f"/holds/{self.id}"))

    async def release(self) -> None:
        """Let go what it holds, or will hold. Twice is as good as once."""
        await self._api.send("POST", f"/holds/{self.id}/release")

    async def _settled(self) -> HoldStatus:
        """As it is once it holds something, or after a while."""
        answer = await self._api.send("GET", f"/holds/{self.id}?settled")
        return HoldStatus.model_validate(answer)

    async def caught(self, deadline_seconds: float) -> HoldStatus:
        """Return once it holds something. Raises DeadlineExceededError."""
        wanted = self._request
        what = f"the {wanted.call} with {wanted.match!r} in its prompt is held {wanted.when}"
        async with within(what, deadline_seconds):
            while (status := await self._settled()).state is HoldState.WAITING:
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

    async def hold(self, request: HoldRequest) -> Hold:
        """Hold the next request that matches."""
        answer = await self.send("POST", "/holds", request.model_dump(mode="json"))
        return Hold(self, str(answer["id"]), request)

    async def release_holds(self) -> None:
        """Let everything go that is held or will be."""
        await self.send("DELETE", "/holds")

    async def latencies(self) -> Latencies:
        """How long work takes now."""
        return Latencies.model_validate(await self.send("GET", "/latencies"))

    async def set_latencies(self, change: LatencyChange) -> Latencies:
        """Change how long work takes, running renderings included; what holds from now on."""
        body = change.model_dump(mode="json", exclude_none=True)
        return Latencies.model_validate(await self.send("PUT", "/latencies", body))

    async def ledger(self) -> Records:
        """All records so far, with the answer of every reply that reached a client."""
        answer = await self.send("GET", "/ledger")
        return _RECORDS.validate_python(answer["records"])
