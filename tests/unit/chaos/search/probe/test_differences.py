"""Where two results differ."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from chaos.search.probe.baseline import differing, told, unmasked
from chaos.search.probe.observed import content_of


@pytest.mark.parametrize(
    ("one", "other", "places"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["a[1].b"]),
        ([1], [1, 2], ["the whole of it"]),
        (1, True, ["the whole of it"]),
        (None, "", ["the whole of it"]),
    ],
)
def test_a_difference_is_told_as_deep_as_it_can(one: Any, other: Any, places: list[str]) -> None:
    assert list(map(told, differing(one, other))) == places


def test_a_mask_covers_what_is_within_its_place_and_nothing_around_it() -> None:
    masks = {("a", "b")}

    assert unmasked(iter([("a", "b"), ("a", "b", 1)]), masks) == []
    assert unmasked(iter([("a",), ("a", "c")]), masks) == [("a",), ("a", "c")]


def test_what_cannot_be_read_is_compared_and_never_shown() -> None:
    secret = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"secret")
    other = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"other")
    broken = Payload(metadata={"encoding": b"json/plain"}, data=b"{secret")

    assert content_of([secret], []) == content_of([secret], []) != content_of([other], [])
    assert "secret" not in f"{content_of([secret], [])}{content_of([broken], [])}"
