"""A service that the workers use is down, hangs, fails, is slow or read-only."""

from __future__ import annotations

from typing import ClassVar, Literal

import psutil
from pydantic import Field

from chaos.environment.stack import NotHereError
from chaos.environment.target import ServiceProcess
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab
from chaos.faults.base import Family, Fault
from chaos.process.waiting import wait_until
from chaos.wire.journal import service_of
from chaos.wire.specs import Breakage

WRITES = ("POST", "PUT", "PATCH", "DELETE")
"""The methods by which a service is asked to change something."""


class OnService(Fault):
    """A fault of one service, by its name in the target."""

    family: ClassVar[Family] = Family.SERVICE

    service: str

    @property
    def target(self) -> str:
        """The service."""
        return self.service

    def _process(self, lab: Lab) -> ServiceProcess:
        if self.service not in lab.stack.services:
            known = ", ".join(lab.stack.services) or "none"
            raise NotHereError(f"this stack has no service {self.service!r}; it has {known}.")
        return lab.stack.services[self.service]


class ServiceDown(OnService):
    """SIGKILL to a service, and a restart on the same port when it is healed."""

    type: Literal["service_down"] = "service_down"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "kill"

    async def inject(self, lab: Lab) -> None:
        """Kill it and wait until it has ended."""
        await self._process(lab).child.kill(STEP_DEADLINE_SECONDS)

    async def heal(self, lab: Lab) -> None:
        """Start it again and wait until it listens."""
        process = self._process(lab)
        if not process.child.is_alive:
            await process.start()


class ServicePaused(OnService):
    """SIGSTOP to a service, and SIGCONT when it is healed: connections stand, and nothing answers.
    A client without a timeout of its own waits as long.
    """

    type: Literal["service_paused"] = "service_paused"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "pause"

    async def inject(self, lab: Lab) -> None:
        """Pause it and wait until all its processes are paused: the signal takes a while."""
        child = self._process(lab).child
        child.pause()
        await wait_until(
            lambda: all(
                psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in child.group
            ),
            what=f"{child.name} sleeps",
            deadline_seconds=STEP_DEADLINE_SECONDS,
        )

    async def heal(self, lab: Lab) -> None:
        """Resume it."""
        child = self._process(lab).child
        if child.is_alive:
            child.resume()


class OnCalls(OnService):
    """A fault of the calls to a service over HTTP, for all workers on the wire (`wire=True`)."""

    @property
    def name(self) -> str:
        """What the wire's record has beside each call that it hits."""
        return f"{self.kind} at {self.service}"

    def breakage(self) -> Breakage:
        """What the wire does."""
        raise NotImplementedError

    async def inject(self, lab: Lab) -> None:
        """Have the wire break calls from now on. Raises NotHereError where it has none of them."""
        service = self._process(lab).service
        if not service.is_on_wire:
            raise NotHereError(
                f"calls of {self.service} cannot be altered: that needs HTTP at an address that "
                "the worker gets in a variable. Use a link and a toxic instead."
            )
        if all(service_of(line) != self.service for line in lab.stack.wire.lines):
            raise NotHereError(f"no worker calls {self.service} over the wire: use wire=True.")
        await lab.stack.wire.wire.break_service(self.breakage())

    async def heal(self, lab: Lab) -> None:
        """Break no more."""
        await lab.stack.wire.wire.mend_service(self.name)


class ServiceErrors(OnCalls):
    """A share of the calls to a service gets an error instead of an answer. The service is not
    asked: nothing was done.
    """

    type: Literal["service_errors"] = "service_errors"
    status: int = Field(default=503, ge=400, le=599)
    share: float = Field(default=0.5, gt=0, le=1)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "errors"

    def breakage(self) -> Breakage:
        """Refuse so many, the first of them for certain."""
        return Breakage(name=self.name, service=self.service, status=self.status, share=self.share)


class ServiceSlow(OnCalls):
    """A service does at once what it is asked, and its answers come so much later. A client that
    gives up before that does not know that it was done.
    """

    type: Literal["service_slow"] = "service_slow"
    seconds: float = Field(gt=0, le=86_400)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "slow"

    def breakage(self) -> Breakage:
        """Hold each answer back."""
        return Breakage(name=self.name, service=self.service, delay_seconds=self.seconds)


class ServiceReadOnly(OnCalls):
    """Calls that would change something (POST, PUT, PATCH, DELETE) are refused, as by a service
    whose database is read-only; others pass. Such a service answers with 503 if it knows, with 500
    if its database's error is just passed on.
    """

    type: Literal["service_read_only"] = "service_read_only"
    status: int = Field(default=503, ge=400, le=599)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "read_only"

    def breakage(self) -> Breakage:
        """Refuse what writes."""
        return Breakage(name=self.name, service=self.service, status=self.status, methods=WRITES)
