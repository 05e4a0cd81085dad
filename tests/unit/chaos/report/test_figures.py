"""What a case measured is in every report, beside its bound; what is beyond it is said to be."""

from __future__ import annotations

from chaos.invariants.figures import Figure
from chaos.report.html.page import environment
from chaos.report.summary import summary
from chaos.report.table import figure_table_lines, figure_words, outcome
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

FIGURES = (
    Figure(name="deepest backlog", value=7, unit="tasks"),
    Figure(name="drain time", value=3.456, unit="s", bound=12),
    Figure(name="replay latency", value=12.5, unit="s", bound=10.0),
)
RUN = a_run(a_scenario("guide_no_network", a_case("dropped", figures=FIGURES)))


def test_a_figure_has_its_unit_and_its_bound() -> None:
    assert [figure_words(each) for each in FIGURES] == [
        ("7 tasks", "-"),
        ("3.46 s", "12 s"),
        ("12.50 s (too much)", "10 s"),
    ]


def test_the_terminal_has_a_table_of_them_where_there_are_any() -> None:
    lines = figure_table_lines(RUN)

    assert lines[0].split("|")[1:5] == [
        " Test                     ",
        " Measured        ",
        " Value              ",
        " At most ",
    ]
    assert lines[3].startswith("| guide_no_network/dropped | drain time      | 3.46 s ")
    assert lines in outcome(RUN)
    assert figure_table_lines(a_run(a_scenario())) == []


def test_the_summary_has_them_folded() -> None:
    text = summary(RUN, environment={})

    assert "<summary>Measured: 3 figures</summary>" in text
    assert "too much" in text
    assert "Measured" not in summary(a_run(a_scenario()), environment={})


def test_the_page_has_them_and_marks_what_is_beyond_its_bound() -> None:
    source = '{% import "parts.html" as parts %}{{ parts.figures(c) }}'
    page = environment().from_string(source).render(c=RUN.scenarios[0].cases[0])

    assert page.count('<tr class="late">') == 1
    assert "deepest backlog" in page
    assert "12.50 s (too much)" in page


def test_they_are_in_the_results() -> None:
    (told,) = RUN.model_dump(mode="json")["scenarios"][0]["cases"]

    assert told["figures"][1] == {
        "name": "drain time",
        "value": 3.456,
        "unit": "s",
        "bound": 12.0,
    }
