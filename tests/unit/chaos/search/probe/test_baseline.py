"""What two undisturbed runs make normal."""

from __future__ import annotations

import pytest

from chaos.evidence.pending import Pending
from chaos.search.probe.baseline import Baseline, NoBaselineError
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
