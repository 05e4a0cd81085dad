from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chaos.report.html.chart import MOST_SMALL, SHOWN, Chart, Drawn, Lane, charts
from chaos.report.html.values import Mark, Row, Span, Timeline

EMPTY = Timeline(0.0, 100.0, (), (), (), (), ("bake", "eat"))


def _bar(start: float, end: float, kind: str = "bake") -> Span:
    return Span(start, end, kind, kind, f"{kind}, {start} to {end}")


def _row(*strands: tuple[Span, ...], marks: tuple[Mark, ...] = (), **given: int) -> Row:
    life = Span(0, 100, "life")
    return Row("one", strands, marks, life=life, status="completed", **given)


def _chart(timeline: Timeline) -> Chart:
    chart, others = charts(timeline)
    assert others is None
    return chart


def _lane(row: Row) -> Lane:
    return _chart(replace(EMPTY, workflows=(row,))).lanes[-1]


def _bars(lane: Lane) -> list[Drawn]:
    return [item for item in lane.items if item.shape == "bar"]


def _coin(at: float, usd: str, kind: str = "paid") -> Mark:
    return Mark(at, kind, f"{usd} at {at}", Decimal(usd))


def test_places_are_percent_of_what_is_shown() -> None:
    shown = replace(EMPTY, first=20.0, last=120.0, workflows=(_row((_bar(30, 70),)),))

    (bar,) = _bars(_chart(shown).lanes[-1])

    assert (bar.x, bar.width) == (10.0, 40.0)


def test_activities_have_their_own_look_and_lost_attempts_another() -> None:
    bars = _bars(_lane(_row((_bar(0, 10), _bar(10, 20, "lost")), (_bar(20, 30, "eat"),))))

    assert [bar.kind for bar in bars] == ["k0", "lost", "k1"]


def test_what_is_at_work_together_lies_below_each_other() -> None:
    first, second, third = _bars(_lane(_row((_bar(0, 50),), (_bar(25, 75),), (_bar(50, 60),))))

    assert first.y < second.y
    assert third.y == first.y


def test_payments_that_are_near_are_one_with_their_sum() -> None:
    marks = (_coin(10, "0.039"), _coin(10.5, "1.20"), _coin(60, "1.20"))

    items = _lane(_row(marks=marks)).items

    assert [item.x for item in items if item.shape == "mark"] == [10.0, 60.0]
    assert [item.text for item in items if item.shape == "price"] == ["$1.239", "$1.20"]


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [(("paid", "doubt"), "doubt"), (("doubt", "twice"), "twice"), (("paid", "paid"), "paid")],
)
def test_of_several_the_worst_is_seen(kinds: tuple[str, str], shown: str) -> None:
    marks = tuple(_coin(10, "1.20", kind) for kind in kinds)

    assert [item.kind for item in _lane(_row(marks=marks)).items if item.shape == "mark"] == [shown]


def test_faults_that_overlap_have_a_line_each() -> None:
    faults = (Span(10, 40, "fault", "kill a"), Span(20, 60, "fault", "kill b"))

    chart = _chart(replace(EMPTY, faults=faults))
    first, second = _bars(chart.lanes[0])

    assert first.y < second.y
    assert [(band.x, band.width) for band in chart.bands] == [(10.0, 30.0), (20.0, 40.0)]
    assert chart.hits == (10.0, 20.0)


def test_faults_at_once_are_one() -> None:
    faults = tuple(Span(10 + n / 10, 40, "fault", "kill worker") for n in range(3))

    lane = _chart(replace(EMPTY, faults=faults)).lanes[0]

    assert [item.text for item in lane.items if item.shape == "word"] == ["kill worker (3 times)"]


def test_an_end_that_follows_its_hit_is_not_drawn_beside_it() -> None:
    killed = Row("worker-1", (), (Mark(50, "kill", ""), Mark(50.03, "exit", "")))
    ended = Row("worker-2", (), (Mark(50, "exit", ""),))

    lanes = _chart(replace(EMPTY, processes=(killed, ended))).lanes

    assert [[item.kind for item in lane.items] for lane in lanes] == [["kill"], ["exit"]]


def test_of_many_workflows_the_interesting_have_a_row_and_the_others_are_folded() -> None:
    rows = tuple(replace(_row((_bar(0, 50),)), name=f"w-{n}") for n in range(40))
    rows = (*rows[:-1], replace(rows[-1], interest=5))

    chart, others = charts(replace(EMPTY, workflows=rows))

    names = [lane.name for lane in chart.lanes]
    assert names == [f"w-{n}" for n in [*range(SHOWN - 1), 39]]
    assert others
    assert others.small
    assert len(others.lanes) == 40 - SHOWN
    assert not [item for lane in others.lanes for item in lane.items if item.detail]


@pytest.mark.parametrize("last", [0.5, 3.0, 17.0, 86.0, 383.0, 7200.0])
def test_the_axis_has_a_few_whole_steps(last: float) -> None:
    ticks = _chart(replace(EMPTY, last=last)).ticks

    assert 2 <= len(ticks) <= 10
    assert ticks[0][1].rstrip(" s").strip("0.")[0] in "125"
    assert [x for x, _ in ticks] == sorted(x for x, _ in ticks)


def test_of_very_many_workflows_some_are_not_drawn() -> None:
    rows = tuple(replace(_row(), name=f"w-{n}") for n in range(SHOWN + MOST_SMALL + 1))

    _, others = charts(replace(EMPTY, workflows=rows))

    assert others
    assert len(others.lanes) == MOST_SMALL
