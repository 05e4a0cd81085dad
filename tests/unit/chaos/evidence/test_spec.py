"""What a workflow is asked for: arguments of any kind, attempts, charges, and their way to disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
)

from chaos.evidence.bills import Billing, Charge
from chaos.evidence.history import Status
from chaos.evidence.spec import (
    OLD_SPECS,
    SPECS,
    WorkflowSpec,
    cost_usd,
    load_specs,
    save_specs,
)
from tests.unit.kept import EVIDENCE

ORDERS = EVIDENCE.parent / "orders"


@dataclass
class Order:
    """What many a guest's workflow takes."""

    order_id: str
    amount_cents: int


def _spec(*arguments: object, **fields: Any) -> WorkflowSpec:
    return WorkflowSpec(workflow_id="a", workflow_type="Order", arguments=arguments, **fields)


async def _through_the_file(
    folder: Path, converter: DataConverter, *arguments: object
) -> list[Payload]:
    """The payloads of a spec's arguments as somebody else reads them from its file."""
    await save_specs(folder, [_spec(*arguments)], converter)
    (read,) = load_specs(folder, WorkflowSpec)
    assert all(isinstance(argument, RawValue) for argument in read.arguments)
    return [argument.payload for argument in read.arguments]


@pytest.mark.parametrize(
    ("argument", "encoding"),
    [
        (Order("order-1", 4990), b"json/plain"),
        ({"order_id": "order-1", "lines": [1, 2]}, b"json/plain"),
        ("text", b"json/plain"),
        (None, b"binary/null"),
        (b"\x00\xff not text", b"binary/plain"),
        (Duration(seconds=3), b"json/protobuf"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_argument_is_kept_as_the_payload_that_is_sent(
    argument: object, encoding: bytes, tmp_path: Path
) -> None:
    (payload,) = await _through_the_file(tmp_path, pydantic_data_converter, argument)

    assert payload.metadata["encoding"] == encoding
    assert [payload] == await pydantic_data_converter.encode([argument])
    decoded = await pydantic_data_converter.decode([payload], [type(argument)])
    assert decoded == [argument]


async def test_the_arguments_of_a_spec_in_hand_are_the_users_own() -> None:
    order = Order("order-1", 4990)

    assert _spec(order).arguments == (order,)
    assert _spec().arguments == ()


async def test_what_cannot_be_sent_is_told_before_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        await save_specs(tmp_path, [_spec(object())], DataConverter.default)

    assert not (tmp_path / SPECS).exists()


async def test_all_else_is_read_as_it_was_written(tmp_path: Path) -> None:
    specs = [
        _spec(
            status=Status.FAILED,
            failure_names=("declined",),
            charges=(Charge(item="card", key="a", times=2), Charge(item="parcel", key="a")),
            may_be_charged_twice=("a",),
            attempts={"charge_card": 3, "ship": (1, 4)},
        ),
        WorkflowSpec(workflow_id="b", workflow_type="Refund"),
    ]
    await save_specs(tmp_path, specs, DataConverter.default)

    assert load_specs(tmp_path, WorkflowSpec) == tuple(specs)


async def test_no_spec_is_read_as_none(tmp_path: Path) -> None:
    await save_specs(tmp_path, [], DataConverter.default)

    assert load_specs(tmp_path, WorkflowSpec) == ()


def test_older_plain_arguments_are_read_as_what_was_sent_for_them() -> None:
    folder = ORDERS / "worker_dies_charging" / "sigkill"
    (old,) = json.loads((folder / OLD_SPECS).read_text())

    (spec,) = load_specs(folder, WorkflowSpec)

    (argument,) = spec.arguments
    assert argument.payload.metadata == {"encoding": b"json/plain"}
    assert [json.loads(argument.payload.data)] == old["arguments"]
    assert (spec.workflow_id, spec.attempts) == ("order-killed", {"charge_card": 2})
    assert spec.charges == ()


def test_new_specs_win_over_old_ones(tmp_path: Path) -> None:
    (tmp_path / OLD_SPECS).write_text('[{"workflow_id": "old", "workflow_type": "Order"}]')
    (tmp_path / SPECS).write_text('[{"workflow_id": "new", "workflow_type": "Order"}]')

    (spec,) = load_specs(tmp_path, WorkflowSpec)

    assert spec.workflow_id == "new"


def test_without_either_nobody_knows_what_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_specs(tmp_path, WorkflowSpec)


@pytest.mark.parametrize(
    ("attempts", "fewest", "most"), [({}, 1, 1), ({"ship": 3}, 3, 3), ({"ship": (2, 5)}, 2, 5)]
)
def test_attempts_are_a_number_a_range_or_one(
    attempts: dict[str, int | tuple[int, int]], fewest: int, most: int
) -> None:
    assert _spec(attempts=attempts).attempts_of("ship") == (fewest, most)


@pytest.mark.parametrize("attempts", ["twice", (1, 2, 3), (1,), 1.5])
def test_attempts_are_nothing_else(attempts: object) -> None:
    with pytest.raises(ValidationError):
        WorkflowSpec.model_validate(
            {"workflow_id": "a", "workflow_type": "Order", "attempts": {"ship": attempts}}
        )


def test_charges_for_one_thing_add_up_and_those_for_another_do_not() -> None:
    spec = _spec(
        charges=(
            Charge(item="card", key="a", times=2),
            Charge(item="card", key="a"),
            Charge(item="card", key="b"),
            Charge(item="parcel", key="a"),
            Charge(item="stamp", key="a", times=0),
        )
    )

    assert +spec.due == {("card", "a"): 3, ("card", "b"): 1, ("parcel", "a"): 1}
    assert spec.due["stamp", "a"] == 0


def test_an_undisturbed_run_costs_its_charges_and_what_has_no_price_is_free() -> None:
    billing = Billing(prices_usd={"card": Decimal("0.30")})
    spec = _spec(charges=(Charge(item="card", key="a", times=3), Charge(item="parcel", key="a")))

    assert cost_usd(spec, billing) == Decimal("0.90")
    assert cost_usd(_spec(), billing) == 0
