"""Notices in all that people read: each once, with where it was seen, and harmless."""

from __future__ import annotations

import re
from pathlib import Path

from chaos.experiment.results import RunResult
from chaos.invariants.antipatterns import Notice, Pattern
from chaos.report.html import write_html
from chaos.report.summary import summary
from chaos.report.table import notice_lines, outcome
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

_NOTICE = Notice(
    pattern=Pattern.NO_HEARTBEAT,
    workflow_type="Order",
    workflow_id="order-1",
    activity="ship_parcel",
    text="it ran for 40 s without heartbeats",
    count=2,
)


def _run(notice: Notice = _NOTICE) -> RunResult:
    cases = (a_case("one", notices=(notice,)), a_case("two", notices=(notice,)))
    return a_run(a_scenario("shop", *cases))


def test_each_is_told_once_with_its_first_place_and_how_often() -> None:
    (line,) = notice_lines(_run())

    assert line == (
        "Notice: no heartbeat on long work: ship_parcel of Order: it ran for 40 s without "
        "heartbeats (order-1 in shop/one, 4 times in 2 cases)"
    )
    assert [line] in outcome(_run())


def test_a_run_without_any_says_nothing() -> None:
    quiet = a_run(a_scenario("shop", a_case()))

    assert notice_lines(quiet) == []
    assert "Notices" not in summary(quiet, environment={})


def test_the_summary_folds_them() -> None:
    text = summary(_run(), environment={})

    assert "<summary>Notices: 1</summary>" in text
    assert "it ran for 40 s without heartbeats" in text


def test_the_page_has_them_in_their_case_and_takes_no_markup(tmp_path: Path) -> None:
    hostile = _NOTICE.model_copy(update={"activity": "<b>ship</b>"})

    (tmp_path / "results.json").write_text(_run(hostile).model_dump_json(by_alias=True))

    page = write_html(tmp_path).read_text()

    assert page.count("<h5>Notices</h5>") == 2
    assert "&lt;b&gt;ship&lt;/b&gt; of Order" in page
    assert not re.search("<b>ship", page)
