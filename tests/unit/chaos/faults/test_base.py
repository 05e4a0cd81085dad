"""A fault as data: of whatever kind it is, a target's own among them, it is read back as itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from chaos.faults import AnyFault, BadNetwork, Family, Fault, KillWorker, ServerDown
from chaos.network.toxics import Latency, Stream


class Kept(BaseModel):
    """What a schedule's file holds."""

    model_config = ConfigDict(frozen=True)

    faults: tuple[AnyFault, ...]


@pytest.fixture
def guests() -> Iterator[type[Fault]]:
    """A fault that only a guest knows; it is forgotten after the test."""

    class PrinterJammed(Fault):
        """Paper is stuck in a printer."""

        family: ClassVar[str] = "guest"

        type: Literal["printer_jammed"] = "printer_jammed"
        sheets: int
        _stuck: bool = PrivateAttr(default=False)

        @property
        def kind(self) -> str:
            return "jam"

        @property
        def target(self) -> str:
            return "printer"

    yield PrinterJammed
    del Fault.kinds["printer_jammed"]


def test_each_fault_is_read_back_with_all_that_is_its_own() -> None:
    kept = Kept(
        faults=(
            KillWorker(place=1),
            BadNetwork(link="worker-1>api", toxic=Latency(stream=Stream.BOTH, latency_seconds=2.5)),
        )
    )

    read = Kept.model_validate_json(kept.model_dump_json())

    assert read == kept
    kinds: list[type[Fault]] = [KillWorker, BadNetwork]
    assert [type(fault) for fault in read.faults] == kinds
    assert '"latency_seconds":2.5' in kept.model_dump_json()


def test_a_guests_own_fault_is_read_back_as_well(guests: type[Fault]) -> None:
    kept = Kept.model_validate({"faults": [{"type": "printer_jammed", "sheets": 3}]})
    (fault,) = Kept.model_validate_json(kept.model_dump_json()).faults

    assert isinstance(fault, guests)
    assert fault.model_dump() == {"type": "printer_jammed", "sheets": 3}
    assert (fault.kind, fault.target) == ("jam", "printer")


def test_what_a_guest_forbids_in_its_own_fault_is_refused(guests: type[Fault]) -> None:
    del guests
    for fields in ({}, {"sheets": "many"}, {"sheets": 3, "colour": "red"}):
        with pytest.raises(ValidationError):
            Kept.model_validate({"faults": [{"type": "printer_jammed", **fields}]})


def test_a_kind_that_nobody_knows_is_refused_in_a_sentence_that_names_the_known_ones() -> None:
    with pytest.raises(ValidationError) as caught:
        Kept.model_validate_json('{"faults": [{"type": "printer_jammed"}]}')

    (error,) = caught.value.errors()
    assert error["loc"][:2] == ("faults", 0)
    assert "'printer_jammed' is not one of " in error["msg"]
    assert "kill_worker, " in error["msg"]
    assert "server_down" in error["msg"]
    assert "\n" not in error["msg"]


@pytest.mark.parametrize(
    "said", ["{}", '{"type": null}', '{"type": 3}', '{"type": []}', '"text"', "3"]
)
def test_what_names_no_kind_is_refused_as_well(said: str) -> None:
    with pytest.raises(ValidationError):
        Kept.model_validate_json(f'{{"faults": [{said}]}}')


def test_every_kind_of_the_harness_is_known_by_its_own_name() -> None:
    from chaos import faults  # noqa: PLC0415 - all of its names

    kinds = [getattr(faults, name) for name in faults.__all__]
    concrete = [
        kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, Fault) and kind is not Fault
    ]

    assert len(concrete) >= 9
    for kind in concrete:
        assert Fault.kinds[str(kind.model_fields["type"].default)] is kind
        assert isinstance(kind.family, Family)


def test_a_fault_in_hand_is_taken_as_it_is() -> None:
    fault = ServerDown()

    assert Kept(faults=(fault,)).faults == (fault,)
