"""A fault of a call at a boundary, or of the worker that makes it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import psutil
from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr

from chaos.environment.stack import NotHereError
from chaos.experiment.boundaries import BoundaryWatch, Hit
from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.process.child import ChildError
from chaos.wire.boundary import Boundary
from chaos.wire.specs import WireError


def _parsed(value: Any) -> Any:
    return Boundary.parse(value) if isinstance(value, str) else value


ByText = Annotated[
    Boundary, BeforeValidator(_parsed), PlainSerializer(str, return_type=str, when_used="always")
]
"""Saved as its text."""


class AtBoundary(Fault):
    """A worker is killed or paused at a boundary of its work, or its call there is dropped,
    silenced, failed or delayed. The `action` is `kill`, `pause`, `drop`, `silence`,
    `fail:UNAVAILABLE` or another status, or `delay:2` seconds. It waits for the first such call, of
    one workflow, worker and attempt if they are given; if that worker has died of something else
    meanwhile, for the next one.
    """

    family: ClassVar[Family] = Family.WIRE

    type: Literal["at_boundary"] = "at_boundary"
    boundary: ByText
    action: str = Field(pattern=r"^(kill|pause|drop|silence|fail:[A-Z0-9_]+|delay:[0-9.]+)$")
    workflow_id: str = ""
    worker: str = ""
    attempt: int = Field(default=0, ge=0)
    _watch: BoundaryWatch | None = PrivateAttr(default=None)
    _hit: Hit | None = PrivateAttr(default=None)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return self.action.partition(":")[0]

    @property
    def target(self) -> str:
        """The worker or its link, once its call has come; before that, the boundary."""
        return (self._hit and self._hit.target) or self.worker or str(self.boundary)

    @property
    def has_hit(self) -> bool:
        """Whether its call has come."""
        return self._hit is not None

    @property
    def is_late(self) -> bool:
        """It is journaled when the call comes."""
        return True

    async def inject(self, lab: Lab) -> None:
        """Wait for the call, and apply the action."""
        while not await self._is_done(lab):
            lab.note(f"the call at {self.boundary} ended with its worker")

    async def _is_done(self, lab: Lab) -> bool:
        watch = self._watch = await lab.at(
            self.boundary,
            workflow_id=self.workflow_id or None,
            worker=self.worker or None,
            attempt=self.attempt,
        )
        self._hit = await watch.reached()
        try:
            await self._do(self._hit)
        except (WireError, ChildError, NotHereError, psutil.NoSuchProcess):
            self._hit = None
            await watch.release()
            return False
        return True

    async def _do(self, hit: Hit) -> None:
        kind, _, what = self.action.partition(":")
        match kind:
            case "kill":
                await hit.kill()
            case "pause":
                hit.pause()
            case "drop":
                await hit.drop()
            case "silence":
                await hit.silence()
            case "fail":
                await hit.fail(what)
            case "delay":
                await hit.delay(float(what))

    async def heal(self, lab: Lab) -> None:
        """Resume a paused worker, and remove the breakpoint."""
        del lab
        if self._watch:
            await self._watch.release()
