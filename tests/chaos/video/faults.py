"""The paid API misbehaves."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PrivateAttr

from chaos.faults.base import Fault
from tests.chaos.video.evidence import FAKE_API
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.lab import VideoLab


class BadApi(Fault):
    """The fake API answers some requests by a rule."""

    family: ClassVar[str] = "api"

    type: Literal["bad_api"] = "bad_api"
    rule: FaultRule
    _rule_id: str | None = PrivateAttr(default=None)

    @property
    def kind(self) -> str:
        """The kind of the rule."""
        return str(self.rule.kind)

    @property
    def target(self) -> str:
        """The fake API."""
        return FAKE_API

    async def inject(self, lab: VideoLab) -> None:
        """Put the rule in force."""
        self._rule_id = await lab.api.add_rule(self.rule)

    async def heal(self, lab: VideoLab) -> None:
        """Lift it; what it delays or hangs already stays so."""
        if self._rule_id:
            await lab.api.remove_rule(self._rule_id)
