from __future__ import annotations

import pytest

from chaos.invariants.verdict import Verdict, merge

PASSED, FAILED, UNKNOWN = Verdict.PASSED, Verdict.FAILED, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [
        ([PASSED, PASSED], PASSED),
        ([PASSED, UNKNOWN], UNKNOWN),
        ([UNKNOWN, FAILED, PASSED], FAILED),
        ([], UNKNOWN),
    ],
)
def test_the_gravest_verdict_counts_and_nothing_is_no_pass(
    verdicts: list[Verdict], merged: Verdict
) -> None:
    assert merge(verdicts) is merged
