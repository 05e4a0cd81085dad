"""What a workflow should cost, what was billed for it, and what its workers have on record. A
charge says what should be billed, a bill what was: both name the item, which has a price in the
target, and a key of the target's own that distinguishes two things of one kind, such as an order's
id.
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
    """`mocked`: the paid services are test doubles. `live`: they are real, and cost real money."""

    MOCKED = "mocked"
    LIVE = "live"


class Billing(BaseModel):
    """How a case is billed.

    Attributes:
        mode: with test doubles, or real money.
        prices_usd: the price of each item. An item without a price is free.

    """

    model_config = ConfigDict(frozen=True)

    mode: Mode = Mode.MOCKED
    prices_usd: Mapping[str, Usd] = {}


class Charge(BaseModel):
    """What a workflow should be charged for.

    Attributes:
        item: the kind of thing, which has a price.
        key: distinguishes two things of one item, such as an order's id.
        times: how often it should be billed.

    """

    model_config = ConfigDict(frozen=True)

    item: str
    key: str
    times: int = Field(default=1, ge=0)

    @property
    def thing(self) -> Thing:
        """What it is for."""
        return str(self.item), self.key


class Bill(BaseModel):
    """What was paid, by the records of the service that was paid.

    Attributes:
        at: when it was recorded.
        item: the kind of thing, as in `Charge`.
        key: whose it is, as in `Charge`.
        amount_usd: 0 or more, to the last digit.

    """

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
    """A paid request that, by the workers' own record, may have been paid for without a result."""

    # So that only these fields of a PaidRequest are kept.
    model_config = ConfigDict(frozen=True, revalidate_instances="subclass-instances")

    operation_id: str
    step: str
    number: int
    item: str
    cost_usd: Usd
    state: str
    reason: str | None
    sent_at: AwareDatetime

    @property
    def shown_state(self) -> str:
        """The state in words for people: `ambiguous` is kept in evidence for what is in doubt."""
        return "in doubt" if self.state == "ambiguous" else self.state


class PaidRequest(InDoubt):
    """A request that may be billed, by the workers' own record.

    Attributes:
        operation_id: the workflow's id on the server.
        step: the step of the workflow.
        number: distinguishes the requests of a step.
        key: as in `Charge`.
        in_doubt: whether it may have been paid for without a result.

    """

    key: str
    in_doubt: bool


class Refusal(BaseModel):
    """A request that a service answered with an error, by its own records.

    Attributes:
        at: when.
        service: its name.
        workflow_id: whose request it was, if known.
        text: what it answered.

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
