from __future__ import annotations

import io
import time

import pytest
from rich.console import Console, ConsoleDimensions, RenderableType

from chaos.evidence.journal import Event
from chaos.experiment.events import Planned
from chaos.plugin.view.live import LiveView
from tests.unit.chaos.plugin.view.story import ONE, Books, case, journaled, timed


class Screen:
    """A terminal that keeps what is drawn, each frame at a price of CPU time."""

    def __init__(self) -> None:
        self.size = ConsoleDimensions(80, 24)
        self.frames: list[str] = []
        self.cost_seconds = 0.0
        self.spent_seconds = 0.0

    def draw(self, frame: RenderableType) -> None:
        console = Console(file=io.StringIO(), width=self.size.width, height=self.size.height)
        with console.capture() as drawn:
            console.print(frame)
        self.frames.append(drawn.get())
        self.spent_seconds += self.cost_seconds

    def erase(self) -> None:
        self.frames.append("")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(time, "thread_time", lambda: screen.spent_seconds)
    return screen


@pytest.fixture
def books() -> Books:
    return Books("0")


@pytest.fixture
def view(screen: Screen, books: Books) -> LiveView:
    view = LiveView(screen)
    view.handle(timed(0, Planned((case(billed_usd=books),))))
    return view


def _for_ten_seconds(view: LiveView, *, eventful: bool) -> None:
    for tenth in range(100):
        if eventful:
            view.handle(journaled(tenth / 10, Event.STAGE, text=f"note {tenth}"))
        view.refresh(tenth / 10)


def test_while_nothing_happens_it_is_drawn_once_a_second(view: LiveView, screen: Screen) -> None:
    _for_ten_seconds(view, eventful=False)

    assert len(screen.frames) == 10


def test_however_much_happens_it_is_drawn_four_times_a_second(
    view: LiveView, screen: Screen
) -> None:
    _for_ten_seconds(view, eventful=True)

    assert 30 <= len(screen.frames) <= 40


def test_where_a_frame_is_dear_it_is_drawn_so_seldom_that_it_takes_a_fiftieth_of_a_core(
    view: LiveView, screen: Screen
) -> None:
    screen.cost_seconds = 0.05
    _for_ten_seconds(view, eventful=True)

    assert 2 <= len(screen.frames) <= 4


def test_a_new_size_is_reason_enough(view: LiveView, screen: Screen) -> None:
    view.refresh(1.0)
    view.refresh(1.5)
    assert len(screen.frames) == 1

    screen.size = ConsoleDimensions(120, 40)
    view.refresh(1.8)
    assert len(screen.frames) == 2


def test_after_it_was_left_it_is_drawn_at_once(view: LiveView, screen: Screen) -> None:
    view.refresh(1.0)
    view.leave()
    view.refresh(1.1)

    assert [bool(frame) for frame in screen.frames] == [True, False, True]


def test_it_shows_what_was_billed_so_far(view: LiveView, screen: Screen, books: Books) -> None:
    view.refresh(1.0)
    assert "$" not in screen.frames[-1].replace("ideal cost $", "")

    books.said = ["1.20"]
    view.refresh(2.5)
    assert screen.frames[-1].count("$1.20") == 2
    assert ONE.scenario in screen.frames[-1]
