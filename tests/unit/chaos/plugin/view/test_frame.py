from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.cells import cell_len
from rich.console import Console

from chaos.evidence.journal import Event
from chaos.experiment.events import Billed, CaseName, Finished, Stage, WorkflowEnded
from chaos.invariants.verdict import Verdict
from chaos.plugin.view.frame import clock, frame
from chaos.plugin.view.state import State
from tests.unit.chaos.plugin.view.story import (
    NAMES,
    ONE,
    alone,
    busy,
    case,
    fault,
    journaled,
    judged,
    reached,
    state_of,
    timed,
)

EIGHTEEN = alone(*NAMES)


def _drawn(state: State, width: int, height: int, *, now: float = 62, colours: bool = False) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=colours,
        color_system="256" if colours else None,
    )
    with console.capture() as drawn:
        console.print(frame(state, now, width, height))
    return drawn.get()


def _line(drawn: str, *words: str) -> str:
    (line,) = (line for line in drawn.splitlines() if all(word in line for word in words))
    return " ".join(line.split())


STATES = {
    "nothing is known": State(),
    "all wait": busy(EIGHTEEN, passed=0, waiting=18),
    "eighteen": busy(EIGHTEEN, passed=4, failed=1, waiting=6),
    "all have ended": busy(EIGHTEEN, passed=17, failed=1, waiting=0),
    "forty cases": busy(
        tuple(CaseName("seeded", f"seed-{n}") for n in range(40)), passed=9, waiting=20
    ),
    "long names": busy(alone(*(f"{'x' * 90}_{n}" for n in range(9))), passed=2, waiting=3),
    "wide letters": busy(alone(*(f"長い場面の名前{n}" for n in range(9))), passed=2, waiting=3),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize("size", [(60, 10), (80, 24), (100, 30), (120, 40), (300, 90)], ids=str)
def test_a_frame_fits_into_its_terminal(state: State, size: tuple[int, int]) -> None:
    width, height = size
    lines = _drawn(state, width, height).split("\n")[:-1]

    assert 1 < len(lines) <= height - 1
    assert max(map(cell_len, lines)) <= width
    assert lines[-1] == ""


def test_a_row_shows_the_fault_for_how_long_the_workflows_the_bill_and_the_time() -> None:
    state = state_of(
        [case(workflows=3), case(*alone("checkpoint"))],
        reached(2, Stage.STARTING),
        reached(4, Stage.RUNNING),
        fault(50, "kill", "worker-1"),
        journaled(51, Event.STAGE, text="waiting until the server misses the heartbeat"),
        timed(52, WorkflowEnded(ONE, "w")),
        timed(53, Billed(ONE, Decimal("1.278"))),
    )

    narrow = _line(_drawn(state, 80, 24), "● worker_crash")
    wide = _line(_drawn(state, 160, 24), "● worker_crash")
    assert narrow == "● worker_crash kill at worker-1 0:12 1/3 $1.28 1:00"
    assert wide.startswith("● worker_crash waiting until the server misses the heartbeat kill at")


def test_without_a_fault_a_narrow_row_shows_the_stage() -> None:
    state = state_of(
        [case(), case(*alone("checkpoint"))],
        reached(2, Stage.RUNNING),
        journaled(51, Event.STAGE, text="worker-1 is ready (pid 4711)"),
    )

    assert _line(_drawn(state, 80, 24), "worker_crash") == (
        "● worker_crash worker-1 is ready 0/1 1:00"
    )
    assert _line(_drawn(state, 80, 24), "checkpoint") == "○ checkpoint waiting 0/1"


def test_a_failure_is_shown_with_its_reason_in_its_row_and_among_the_remarks() -> None:
    state = state_of(
        [case(), case(*alone("checkpoint"))],
        reached(2, Stage.RUNNING),
        judged(40, Verdict.FAILED, reason="billed_at_most_expected: twice"),
        timed(40, Finished("worker_crash", Verdict.FAILED, "billed_at_most_expected: twice")),
    )
    drawn = _drawn(state, 120, 40)

    assert _line(drawn, "✗ worker_crash").startswith("✗ worker_crash failed: billed_at_most")
    assert "0:40 worker_crash failed: billed_at_most_expected: twice" in " ".join(drawn.split())
    assert "1 failed 1 waiting" in " ".join(drawn.split())


def test_the_total_counts_verdicts_workflows_and_money() -> None:
    state = busy(EIGHTEEN, passed=4, failed=1, waiting=6)
    total = _line(_drawn(state, 120, 40), "ideal cost")

    assert total == "4 passed 1 failed 7 running 6 waiting ideal cost $22.30 0/18 1:02"


def test_the_figures_of_the_total_stand_below_those_of_the_rows() -> None:
    billed = [timed(9, Billed(name, Decimal("1.239"))) for name in EIGHTEEN]
    state = state_of([case(name) for name in EIGHTEEN], *billed)
    for width, height in ((80, 24), (100, 30), (120, 40)):
        lines = _drawn(state, width, height).splitlines()
        row = next(line for line in lines if "checkpoint" in line)
        total = next(line for line in lines if "ideal cost" in line)
        assert row.index("$1.24") + len("$1.24") == total.rindex("$22.30") + len("$22.30")


def test_before_the_plan_is_known_it_says_what_is_done() -> None:
    assert _line(_drawn(State(), 80, 24), "getting ready") == "getting ready 1:02"


def test_what_a_process_says_cannot_steer_the_terminal() -> None:
    evil = "gone\x1b[2J\x1b]0;title\x07 [red]wrong[/red]\r\nnext"
    state = state_of(
        [case(), case(*alone("checkpoint"))],
        reached(2, Stage.RUNNING),
        journaled(3, Event.STAGE, text=evil),
        journaled(4, Event.TROUBLE, text=evil),
    )
    drawn = _drawn(state, 160, 40)

    assert not {"\x1b", "\x07", "\r"} & set(drawn)
    assert drawn.count("gone [2J ]0;title [red]wrong[/red] next") == 2


def test_there_are_colours_on_a_terminal_and_verdicts_can_be_told_apart_without() -> None:
    state = busy(EIGHTEEN, passed=4, failed=1, waiting=6)

    assert "\x1b[1;31m" in _drawn(state, 120, 40, colours=True)
    assert {"✓", "✗", "●", "○", "passed", "failed"} <= set(_drawn(state, 120, 40).split())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (9.9, "0:09"), (61, "1:01"), (3725, "1:02:05"), (-1, "0:00")],
)
def test_time_is_shown_as_on_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
