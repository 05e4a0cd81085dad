"""A link between a client and a server goes bad."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.network.toxics import AnyToxic


class BadNetwork(Fault):
    """A toxic on a link such as `worker-1>server`, which its client was started with."""

    family: ClassVar[Family] = Family.NETWORK

    type: Literal["bad_network"] = "bad_network"
    link: str
    toxic: AnyToxic

    @property
    def kind(self) -> str:
        """The toxic's type."""
        return self.toxic.type

    @property
    def target(self) -> str:
        """The link."""
        return self.link

    async def inject(self, lab: Lab) -> None:
        """Put the toxic on: every connection has felt it when this returns."""
        await lab.stack.links[self.link].network.add(self.toxic)

    async def heal(self, lab: Lab) -> None:
        """Take it off."""
        network = lab.stack.links[self.link].network
        if self.toxic.known_as in {toxic.known_as for toxic in await network.toxics()}:
            await network.remove(self.toxic.known_as)
