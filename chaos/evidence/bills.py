"""What a workflow should cost, what was billed for it, and what its workers know of that.

A charge says what somebody should be paid for, a bill that they were: both name the item, by which
a target sets its prices, and a key of the guest's own that tells two things of one kind apart, such
as an order's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Usd = Annotated[Decimal, Field(ge=0, lt=1_000_000_000, allow_inf_nan=False)]

Thing = tuple[str, str]
"""What is paid for: an item and a key."""


class Mode(StrEnum):
    """`mocked`: whoever is paid is a double on this machine. `live`: the real one, real money."""

    MOCKED = "mocked"
    LIVE = "live"


class Billing(BaseModel):
    """The mode of a case and the price of each item, in USD."""

    model_config = ConfigDict(frozen=True)

    mode: Mode = Mode.MOCKED
    prices_usd: Mapping[str, Usd] = {}


class Charge(BaseModel):
    """What a workflow should be charged for, and how often."""

    model_config = ConfigDict(frozen=True)

    item: str
    key: str
    times: int = Field(default=1, ge=0)

    @property
    def thing(self) -> Thing:
        """What it is for."""
        return str(self.item), self.key


class Bill(BaseModel):
    """What somebody was paid for, by the books of who was paid. One of nothing costs nothing."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    item: str
    key: str
    amount_usd: Usd

    @property
    def thing(self) -> Thing:
        """What it is for."""
        return str(self.item), self.key


class InDoubt(BaseModel):
    """A paid request of which the workers themselves say that it may have been paid for in vain."""

    # So that of a workers' whole record only this is told.
    model_config = ConfigDict(frozen=True, revalidate_instances="subclass-instances")

    operation_id: str
    step: str
    number: int
    item: str
    cost_usd: Usd
    state: str
    reason: str | None
    sent_at: AwareDatetime


class PaidRequest(InDoubt):
    """A request that may be billed, by the workers' own record: what was sent for a charge.

    `operation_id` is the workflow's id on the server, `step` and `number` tell its requests apart.
    """

    key: str
    in_doubt: bool


class Refusal(BaseModel):
    """An answer that a service did not give as it should, by its own books; `workflow_id` is whose
    request it was, where that is known.
    """

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    service: str
    workflow_id: str | None
    text: str


class SuiteEstimate(BaseModel):
    """What all live cases of a project's scenarios cost with some models."""

    model_config = ConfigDict(frozen=True)

    models: str
    usd: Usd
