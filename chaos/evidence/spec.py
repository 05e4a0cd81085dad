"""What a workflow is started with, and how it should end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationInfo
from pydantic.functional_validators import BeforeValidator
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from chaos.evidence.bills import Billing, Charge, Thing
from chaos.evidence.files import read_file, read_if_there, write_file
from chaos.evidence.history import Status

SPECS = "specs.json"
OLD_SPECS = "expectations.json"
"""What `specs.json` was called by the releases before 0.2."""


def _saved(argument: Any) -> Any:
    """A payload as JSON; everything else in a spec is never sent."""
    return MessageToDict(argument.payload) if isinstance(argument, RawValue) else None


def _read(arguments: Any, info: ValidationInfo) -> Any:
    if not info.context:  # they are the user's own
        return arguments
    return tuple(RawValue(_payload(each)) for each in arguments)


def _payload(saved: Any) -> Payload:
    """As it was saved; before release 0.2 arguments were plain JSON."""
    if isinstance(saved, dict) and isinstance(saved.get("metadata"), dict):
        return ParseDict(saved, Payload())
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(saved).encode())


class WorkflowSpec(BaseModel):
    """One workflow: what it is started with, how it should end, and what it should cost.

    Attributes:
        workflow_id: its id, without the prefix that a run adds.
        workflow_type: its type.
        arguments: what the target's data converter takes. Read back they are payloads (`RawValue`).
        status: how it should end. With `Status.RUNNING` it should still run: it is not awaited.
        failure_names: texts that its failure must contain.
        charges: what it should be billed for once it has ended as it should.
        may_be_charged_twice: keys that may be billed once more, because a fault cuts the request
            off and no client can know whether it was billed.
        attempts: how many attempts the faults explain, by activity type, of its own activities
            and its children's: a number, or a range such as `{"charge_card": (1, 3)}`. Others need
            one.

    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    workflow_id: str
    workflow_type: str
    arguments: Annotated[
        tuple[Annotated[Any, PlainSerializer(_saved, when_used="json")], ...],
        BeforeValidator(_read),
    ] = ()
    status: Status = Status.COMPLETED
    failure_names: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    may_be_charged_twice: tuple[str, ...] = ()
    attempts: Mapping[str, int | tuple[int, int]] = Field(default={})

    @property
    def due(self) -> Counter[Thing]:
        """How often each thing has to be billed."""
        found: Counter[Thing] = Counter()
        for charge in self.charges:
            found[charge.thing] += charge.times
        return found

    def attempts_of(self, kind: str) -> tuple[int, int]:
        """The fewest and the most attempts that its faults explain."""
        wanted = self.attempts.get(kind, 1)
        return wanted if isinstance(wanted, tuple) else (wanted, wanted)

    async def encoded(self, converter: DataConverter) -> WorkflowSpec:
        """With its arguments as payloads, as they are sent and saved."""
        payloads = await converter.encode(self.arguments)
        return self.model_copy(update={"arguments": tuple(map(RawValue, payloads))})


def cost_usd(spec: WorkflowSpec, billing: Billing) -> Decimal:
    """What an undisturbed run of a workflow costs; what has no price is free."""
    return sum(
        (billing.prices_usd.get(item, Decimal(0)) * n for (item, _), n in spec.due.items()),
        Decimal(0),
    )


async def save_specs(folder: Path, specs: Sequence[WorkflowSpec], converter: DataConverter) -> None:
    """Save the specs."""
    encoded = [await spec.encoded(converter) for spec in specs]
    data = b",\n".join(spec.model_dump_json(indent=1).encode() for spec in encoded)
    write_file(folder / SPECS, b"[" + data + b"]")


def load_specs(folder: Path, kind: type[WorkflowSpec]) -> tuple[WorkflowSpec, ...]:
    """Read the specs, also those of an earlier release."""
    adapter = TypeAdapter(tuple[kind, ...])  # type: ignore[valid-type]  # the guest's own
    there = (read_if_there(folder / name) for name in (SPECS, OLD_SPECS))
    content = next((each for each in there if each is not None), None)
    if content is None:
        content = read_file(folder / SPECS)  # raises: that is what is missing
    return adapter.validate_json(content, context=True)
