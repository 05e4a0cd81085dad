"""Fewer requests a second pass than are sent: to the server's namespace, or to a service."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from chaos.environment.stack import NotHereError
from chaos.environment.wire import EVERYBODY, SERVER, link_name
from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.wire.specs import LimitSpec

BURST_RATIO = 2
"""How many seconds' worth of calls the server lets pass at once after a rest, by default
(`frontend.namespaceBurstRatio`).
"""

SETTING = "frontend.namespaceRPS"
"""The dynamic configuration that limits a namespace, at each frontend. Of those that were tried on
a dev server 1.32 it is the one that acts as a limit of Temporal Cloud does: `globalNamespaceRPS` is
the same for one frontend, `rps` names another scope, `namespaceRPS.visibility` concerns searches
alone, `namespaceCount` open polls, `matching.rps` what matching is asked, polls among it.
"""


class RateLimited(Fault):
    """The namespace takes so many calls a second, all its workers and clients together; it answers
    others with RESOURCE_EXHAUSTED. Reports pass before polls.

    By `wire`, the lines of the stack refuse them, in any topology: those of workers that were
    started with `wire=True`, and of the harness's `Stack.client_on_wire`. By `server`, Temporal
    itself does: a dev server, or the frontend of a cluster, is started again with that dynamic
    configuration, and again when it is healed.
    """

    family: ClassVar[Family] = Family.WIRE

    type: Literal["rate_limited"] = "rate_limited"
    per_second: float = Field(gt=0)
    by: Literal["wire", "server"] = "wire"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "rate_limit"

    @property
    def target(self) -> str:
        """The way to the server that all share."""
        return link_name(EVERYBODY, SERVER)

    async def inject(self, lab: Lab) -> None:
        """Limit it."""
        if self.by == "server":
            await _configure(lab, {SETTING: f"{max(1, round(self.per_second))}"})
            return
        burst = max(1.0, BURST_RATIO * self.per_second)
        await lab.stack.wire.wire.limit(LimitSpec(per_second=self.per_second, burst=burst))

    async def heal(self, lab: Lab) -> None:
        """Lift the limit."""
        if self.by == "server":
            await _configure(lab, {})
        else:
            await lab.stack.wire.wire.unlimit()


class ServiceOverloaded(Fault):
    """A service takes so many requests a second, of all workers on the wire together. Above that it
    answers with the status `answer`, such as 429 or 503, and with `Retry-After`; with 0 it lets
    requests wait for their turn.
    """

    family: ClassVar[Family] = Family.SERVICE

    type: Literal["service_overloaded"] = "service_overloaded"
    service: str
    per_second: float = Field(gt=0)
    answer: int = Field(default=429, ge=0, lt=600)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "overload"

    @property
    def target(self) -> str:
        """The way to the service that all share."""
        return link_name(EVERYBODY, self.service)

    async def inject(self, lab: Lab) -> None:
        """Limit it. Raises NotHereError where no requests to it pass the wire."""
        found = lab.stack.services.get(self.service)
        if found is None or not found.service.is_on_wire:
            raise NotHereError(
                f"no requests to {self.service!r} pass the wire: name a service of the target "
                "whose variable holds an address that begins with http://."
            )
        await lab.stack.wire.wire.limit(
            LimitSpec(
                service=self.service,
                per_second=self.per_second,
                burst=max(1.0, self.per_second),
                status=self.answer,
            )
        )

    async def heal(self, lab: Lab) -> None:
        """Lift the limit."""
        await lab.stack.wire.wire.unlimit(self.service)


async def _configure(lab: Lab, settings: dict[str, Any]) -> None:
    """Give the dynamic configuration of a Temporal that is the stack's own. Raises NotHereError."""
    configure = getattr(lab.stack.temporal, "configure", None)
    if configure is None:
        raise NotHereError(
            "the Temporal server of this case is not its own, so its limits cannot be set: give "
            'the case stack=StackSpec(), or use RateLimited(by="wire").'
        )
    await configure(settings)
