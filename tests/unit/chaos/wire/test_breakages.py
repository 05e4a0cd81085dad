"""Which calls of a broken service are hit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chaos.wire.breakages import Breakages
from chaos.wire.specs import Breakage

ERRORS = Breakage(name="errors at payments", service="payments", status=503)


def _hit(breakage: Breakage, calls: int, service: str = "payments", method: str = "POST") -> str:
    """A cross for each call that it hits, in order."""
    breakages = Breakages()
    breakages.put_on(breakage)
    return "".join("x" if breakages.of(service, method) else "." for _ in range(calls))


@pytest.mark.parametrize(
    ("share", "hit"),
    [(1.0, "xxxxxx"), (0.5, "x.x.x."), (0.25, "x...x..."), (0.75, "xxx.xxx."), (0.01, "x.....")],
)
def test_the_first_is_hit_and_then_as_many_as_there_should_be(share: float, hit: str) -> None:
    assert _hit(ERRORS.model_copy(update={"share": share}), len(hit)) == hit


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 1 / 3])
def test_over_many_calls_the_share_is_exact(share: float) -> None:
    breakage = ERRORS.model_copy(update={"share": share})
    assert _hit(breakage, 3000).count("x") == round(3000 * share)


def test_it_hits_no_other_service_and_no_other_method() -> None:
    read_only = ERRORS.model_copy(update={"methods": ("POST", "PUT")})
    assert _hit(read_only, 2) == "xx"
    assert _hit(read_only, 2, method="GET") == ".."
    assert _hit(read_only, 2, service="carrier") == ".."
    assert _hit(read_only, 2, service="") == ".."


def test_what_is_taken_off_hits_no_more_and_begins_anew() -> None:
    breakages, half = Breakages(), ERRORS.model_copy(update={"share": 0.5})
    breakages.put_on(half)
    assert breakages.of("payments", "POST") == half
    breakages.take_off(half.name)
    breakages.take_off("not there")
    assert breakages.of("payments", "POST") is None
    breakages.put_on(half)
    assert breakages.of("payments", "POST") == half


def test_of_two_the_first_that_hits_counts() -> None:
    breakages, half = Breakages(), ERRORS.model_copy(update={"share": 0.5})
    slow = Breakage(name="slow at payments", service="payments", delay_seconds=2)
    breakages.put_on(half)
    breakages.put_on(slow)
    assert [breakages.of("payments", "POST") for _ in range(3)] == [half, slow, half]


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.1}, {"status": 200}, {"status": 600}])
def test_what_would_break_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Breakage.model_validate({"name": "it", "service": "payments", **wrong})
