"""What a fault is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny


class Family(StrEnum):
    """Families of faults of the harness, as a user chooses them; a target may have others."""

    COMMAND = "command"
    KILL = "kill"
    NETWORK = "network"
    SERVER = "server"
    SERVICE = "service"
    WIRE = "wire"


class Fault(BaseModel):
    """A fault's settings; `Lab.begin`, `Lab.end` and `Lab.during` journal what it does.

    Both get the target's own kind of lab. `inject` returns when the effect is there, `heal` when it
    is gone. A fault that raises halfway is healed as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: ClassVar[str]
    kinds: ClassVar[dict[str, type[Fault]]] = {}
    """All known faults, a target's own included, by their `type`."""

    type: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if isinstance(name := cls.model_fields["type"].default, str):
            Fault.kinds[name] = cls

    @property
    def kind(self) -> str:
        """The name of what it does in the journal."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """The name of what it hits in the journal."""
        raise NotImplementedError

    @property
    def is_late(self) -> bool:
        """Whether it adds itself to the journal, such as when a call that it waits for has come."""
        return False

    async def inject(self, lab: Any) -> None:
        """Inject it."""

    async def heal(self, lab: Any) -> None:
        """Revert it, if there is anything to revert."""


def _of_its_kind(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind = Fault.kinds.get(str(value.get("type")))
    if kind is None:
        raise ValueError(f"{value.get('type')!r} is not one of {', '.join(sorted(Fault.kinds))}")
    return kind.model_validate(value)


AnyFault = Annotated[SerializeAsAny[Fault], BeforeValidator(_of_its_kind)]
"""Any fault, in the form of a schedule's file."""
