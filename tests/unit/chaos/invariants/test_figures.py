"""A figure beyond its bound fails its case; a time is only late."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from chaos.evidence.case import Evidence
from chaos.experiment.judge import invariants
from chaos.experiment.scenario import Case
from chaos.invariants import Late
from chaos.invariants.figures import Figure, Figures, keeps_its_bounds, no_figures
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.guide.test_headings import ABLE

NOTHING = Evidence(folder=Path(), specs=(), workflows={}, journal=())


def of(*figures: Figure) -> Figures:
    def them(evidence: Evidence) -> Sequence[Figure]:
        del evidence
        return figures

    return them


def found(*figures: Figure) -> list[str]:
    return list(keeps_its_bounds(of(*figures)).judge(NOTHING))


def test_within_its_bound_or_without_one_it_holds() -> None:
    assert (
        found(Figure(name="depth", value=7), Figure(name="drain", value=3, unit="s", bound=3)) == []
    )


def test_a_time_beyond_its_bound_is_late() -> None:
    (problem,) = found(Figure(name="drain time", value=3.5, unit="s", bound=3))

    assert problem == "drain time: 3.5 s of at most 3 s"
    assert isinstance(problem, Late)


def test_any_other_figure_beyond_its_bound_fails() -> None:
    (problem,) = found(Figure(name="attempts", value=4, bound=3))

    assert not isinstance(problem, Late)
    assert keeps_its_bounds(of(Figure(name="a", value=4, bound=3))).examine(NOTHING).verdict is (
        Verdict.FAILED
    )


def test_a_case_with_figures_is_held_to_their_bounds() -> None:
    def case(figures: Figures) -> Case:
        return Case(
            name="only",
            target=ABLE,
            experiment=NotImplemented,
            proofs=(),
            load=lambda _: (),
            invariants=(),
            figures=figures,
        )

    assert [check.name for check in invariants(case(of()))] == ["keeps_its_bounds"]
    assert invariants(case(no_figures)) == ()


def test_figures_that_cannot_be_computed_are_unknown() -> None:
    def broken(evidence: Evidence) -> Sequence[Figure]:
        raise KeyError(str(evidence.folder))

    assert keeps_its_bounds(broken).examine(NOTHING).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_figure_is_a_number(value: float) -> None:
    with pytest.raises(ValidationError):
        Figure(name="depth", value=value)
