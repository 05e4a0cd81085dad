"""Packets between a worker and a server are lost, damaged, reordered or duplicated."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.network.packets import Harm


class BadPackets(Harm, Fault):
    """Below TCP, IP packets of a link such as `worker-1>server` are harmed, in both directions; its
    worker was started with `packets=True`. All four are shares of the packets, from 0 to 1, drawn
    by the `seed`. `lose=1` is a partition.
    """

    family: ClassVar[Family] = Family.NETWORK

    type: Literal["bad_packets"] = "bad_packets"
    link: str

    @property
    def kind(self) -> str:
        """`partition` or `packets`."""
        return self.name

    @property
    def target(self) -> str:
        """The link."""
        return self.link

    async def inject(self, lab: Lab) -> None:
        """Harm each packet that comes from now on."""
        harm = Harm.model_validate(self.model_dump(include=set(Harm.model_fields)))
        await lab.stack.private_links(self.link).harm(self.link, harm)

    async def heal(self, lab: Lab) -> None:
        """Let all pass again."""
        await lab.stack.private_links(self.link).spare(self.link)
