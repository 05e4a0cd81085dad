"""What two undisturbed runs make normal."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from chaos.evidence.pending import Pending
from chaos.search.probe.baseline import Baseline, NoBaselineError, differing, told, unmasked
from chaos.search.probe.observed import content_of
from tests.unit.chaos.made_history import Made, at
from tests.unit.chaos.search.probe.made_runs import charged, evidence, lost, seen


def test_runs_that_end_differently_allow_both() -> None:
    runs = [seen(evidence(charged(1))), seen(evidence(Made().ended("FAILED")))]

    assert sorted(Baseline.of(runs).statuses) == ["completed", "failed"]
    assert Baseline.of(runs).differences(seen(evidence(charged(2)))) == []


def test_a_run_that_did_not_end_shows_nothing_and_what_it_waits_for_is_told() -> None:
    still = seen(evidence(Made(), Pending(at=at(9))))

    with pytest.raises(NoBaselineError, match="waits for a signal, an update or a condition"):
        Baseline.of([still, still])


def test_a_run_that_nobody_knows_shows_nothing() -> None:
    with pytest.raises(NoBaselineError):
        Baseline.of([seen(lost())])


def test_the_most_attempts_of_any_run_are_normal() -> None:
    runs = [seen(evidence(charged(1, attempt=attempt))) for attempt in (1, 3)]
    normal = Baseline.of(runs)

    assert list(normal.ran_again(seen(evidence(charged(1, attempt=3))))) == []
    assert list(normal.ran_again(seen(evidence(charged(1, attempt=4))))) == [("charge_card", 4)]


@pytest.mark.parametrize(
    ("one", "other", "places"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["a[1].b"]),
        ([1], [1, 2], ["everything"]),
        (1, True, ["everything"]),
        (None, "", ["everything"]),
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
