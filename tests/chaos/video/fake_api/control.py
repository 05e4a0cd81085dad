"""The test's side of the control routes: plan faults, set breakpoints, read the bills."""

import ssl
from typing import Any, Self

import httpx
from pydantic import TypeAdapter

from chaos.process.waiting import within
from tests.chaos.video.fake_api.bills import Record, Records
from tests.chaos.video.fake_api.breakpoints import BreakpointSpec, BreakpointState, BreakpointStatus
from tests.chaos.video.fake_api.rule_book import RuleStatus
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.fake_api.settings import Latencies, LatencyChange

_RECORDS: TypeAdapter[Records] = TypeAdapter(tuple[Record, ...])
_RULES: TypeAdapter[tuple[RuleStatus, ...]] = TypeAdapter(tuple[RuleStatus, ...])


KEPT_SECONDS = 2.0
"""How long an idle connection is used again. Servers close it sooner or later (uvicorn after 5 s),
and a request that is sent in that very moment would be lost."""

ANSWER_SECONDS = 30.0
"""On a starved machine either side may not run for seconds."""


class FakeApiError(Exception):
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


class FakeApi:
    """Client of a running stand-in at `base_url`. Use it by `async with`, or close it.

    All methods raise FakeApiError where the stand-in refuses, httpx.TransportError where it is
    not there.
    """

    def __init__(self, base_url: str) -> None:
        # It speaks plain HTTP to this machine: loading certificates would only take time.
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.AsyncClient(
            base_url=f"{base_url}/control",
            trust_env=False,
            verify=no_certificates,
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(keepalive_expiry=KEPT_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        """One control request; its decoded JSON answer."""
        response = await self._client.request(method, path, json=body)
        if response.is_success:
            return response.json()
        try:
            reason = str(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"{method} {path} was answered with status {response.status_code}."
        raise FakeApiError(reason)

    async def health(self) -> bool:
        """Whether it is ready; False also where nothing answers."""
        try:
            await self.send("GET", "/health")
        except httpx.TransportError:
            return False
        return True

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

    async def set_latencies(self, change: LatencyChange) -> Latencies:
        """Change how long work takes, running renderings included; what holds from now on."""
        body = change.model_dump(mode="json", exclude_none=True)
        return Latencies.model_validate(await self.send("PUT", "/latencies", body))

    async def records(self) -> Records:
        """All records so far, with the answer of every reply that reached a client."""
        answer = await self.send("GET", "/records")
        return _RECORDS.validate_python(answer["records"])
