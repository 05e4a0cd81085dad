"""What is done to a call at a boundary, or to the worker that makes it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr

from chaos.experiment.boundaries import BoundaryWatch, Hit
from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.wire.boundary import Boundary


def _parsed(value: Any) -> Any:
    return Boundary.parse(value) if isinstance(value, str) else value


ByText = Annotated[
    Boundary, BeforeValidator(_parsed), PlainSerializer(str, return_type=str, when_used="always")
]
"""Written as its own words."""


class AtBoundary(Fault):
    """A worker is killed or paused at a boundary of its work, or its call there is dropped,
    silenced, failed or delayed. The `action` is `kill`, `pause`, `drop`, `silence`,
    `fail:UNAVAILABLE` or another status, or `delay:2` seconds. It waits for the first such call, of
    one workflow, worker and attempt if they are named.
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
        """As the journal has it."""
        return self.action.partition(":")[0]

    @property
    def target(self) -> str:
        """The worker, or its link: known when it has come there."""
        return (self._hit and self._hit.target) or self.worker or "wire"

    @property
    def is_late(self) -> bool:
        """It is in the journal from the moment on in which the call came."""
        return True

    async def inject(self, lab: Lab) -> None:
        """Wait for the call, and do it."""
        self._watch = await lab.at(
            self.boundary,
            workflow_id=self.workflow_id or None,
            worker=self.worker or None,
            attempt=self.attempt,
        )
        hit = self._hit = await self._watch.reached()
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
        """Resume a paused worker; hold nothing there any more."""
        del lab
        if self._watch:
            await self._watch.release()
