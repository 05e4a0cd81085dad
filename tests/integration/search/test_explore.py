"""`python -m chaos explore`, on real processes: a sample, an end in the middle, a planted bug."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from chaos.invariants.verdict import Verdict
from chaos.process.reaper import Reaper, tagged_processes
from chaos.search.crash.lanes import Means
from chaos.search.explore.explorer import explore
from chaos.search.explore.plan import Choice, Plan
from chaos.search.explore.state import Attempt, State
from tests.chaos.video.target import VIDEO
from tests.schemas import violations

PROJECT = Path(__file__).parents[3]
PLAN = PROJECT / "tests" / "unit" / "chaos" / "search" / "explore" / "evidence" / "plan.json"
REPORTING = "single-activity-start_video-completing-1"
PAID_FOR = "single-workflow_task-SingleVideo-completed-4"
QUICK = (
    REPORTING,
    "single-activity-await_video-completing-1",
    "single-heartbeat-start_video-completing-1",
)
"""Crash points that are over soon: what was in flight was reported to the fleet."""

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]


class Exploration:
    """A process of the program, its output and everything that it started."""

    def __init__(self, folder: Path, cli: Path, *arguments: str) -> None:
        self.reports = folder / "reports"
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "chaos",
                    "explore",
                    f"--reports={self.reports}",
                    *arguments,
                ],
                cwd=PROJECT,
                env={**os.environ, "TEMPORAL_CLI": str(cli)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def folder(self) -> Path:
        (found,) = self.reports.glob("explore-*")
        return found

    def attempts(self) -> Sequence[Attempt]:
        file = next(self.reports.glob("explore-*/points.jsonl"), None)
        lines = file.read_text().splitlines(keepends=True) if file else []
        return [Attempt.model_validate_json(line) for line in lines if line.endswith("\n")]

    def left_behind(self) -> Sequence[psutil.Process]:
        prefix = f"chaos-run-{self.process.pid}-"
        return [p for p, mark in tagged_processes() if Path(mark).name.startswith(prefix)]

    def scratch(self) -> Sequence[Path]:
        return list(Path(tempfile.gettempdir()).glob(f"chaos-run-{self.process.pid}-*"))

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 250
        while not condition():
            assert time.monotonic() < end, f"{what}\n{self.output}"
            time.sleep(0.05)

    def end(self) -> int:
        return self.process.wait(500)


Start = Callable[..., Exploration]


@pytest.fixture
def start(tmp_path: Path, temporal_cli: Path) -> Iterator[Start]:
    begun: list[Exploration] = []

    def begin(*arguments: str) -> Exploration:
        begun.append(Exploration(tmp_path, temporal_cli, *arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Makes an exploration of these stops alone, which has not begun."""

    def make(chosen: Sequence[str]) -> Path:
        plan = Plan.model_validate_json(PLAN.read_bytes())
        with closing(State.begin(tmp_path / "reports")) as state:
            state.save_plan(plan.model_copy(update={"chosen": tuple(chosen)}))
            return state.folder

    return make


@pytest.mark.sample
def test_a_sample_is_hit_and_nothing_is_left_behind(start: Start) -> None:
    exploration = start("--workflow=single", "--sample=5", "--lanes=3")

    assert exploration.end() == 0, exploration.output
    report = json.loads((exploration.folder / "explore.json").read_text())
    summary = report["summary"]
    assert (summary["stops"], summary["passed"]) == (5, 5)
    assert summary["points_hit"] == summary["points"] >= 5
    assert len({row["counts"]["pid"] for row in report["stops"]}) == 5
    assert "of 5 stops: 5 passed, 0 failed" in (exploration.folder / "explore.md").read_text()
    found = violations(exploration.folder)
    assert {"explore.json", "plan.json", "points.jsonl"} <= found.keys()
    assert not any(found.values()), found
    assert exploration.left_behind() == []
    assert exploration.scratch() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda s: s.name)
def test_it_goes_on_where_it_was_ended(
    number: signal.Signals, start: Start, prepared: Callable[[Sequence[str]], Path]
) -> None:
    folder = prepared(QUICK)
    arguments = (f"--resume={folder}", "--lanes=1")
    first = start(*arguments)
    first.until(first.attempts, "a point is done")
    first.process.send_signal(number)

    assert first.end() == (130 if number is signal.SIGINT else -9), first.output
    first.until(lambda: not first.left_behind() and not first.scratch(), "nothing is left behind")
    done = first.attempts()
    assert 0 < len({each.crash_point for each in done}) < len(QUICK)

    second = start(*arguments)

    assert second.end() == 0, second.output
    assert "going on in" in second.output
    assert second.attempts()[: len(done)] == done
    assert sorted({each.crash_point for each in second.attempts()}) == sorted(QUICK)
    again = {each.crash_point for each in second.attempts()[len(done) :]}
    assert again.isdisjoint(each.crash_point for each in done if each.proven)


def test_what_is_not_begun_when_the_time_is_up_is_no_pass(
    start: Start, prepared: Callable[[Sequence[str]], Path]
) -> None:
    exploration = start(f"--resume={prepared(QUICK)}", "--lanes=1", "--minutes=0.001")

    assert exploration.end() == 1, exploration.output
    assert "3 crash points are left; the same command continues with them." in exploration.output


async def test_a_worker_that_forgets_what_it_bought_is_found(
    reaper: Reaper, temporal_cli: Path, prepared: Callable[[Sequence[str]], Path]
) -> None:
    folder = prepared([REPORTING, PAID_FOR])
    means = Means(
        target=VIDEO,
        temporal_cli=temporal_cli,
        reaper=reaper,
        say=print,
        lanes=2,
        worker=(
            *(sys.executable, "-m"),
            *("tests.integration.breaks.sabotage", "forgets_what_was_bought"),
        ),
    )
    with closing(State.open(folder)) as state:
        assert state.plan
        await explore(state, state.plan.choice, means)
        found = {outcome.planned.name: outcome for outcome in state.outcomes()}

    paying, paid = found[REPORTING], found[PAID_FOR]
    assert paying.verdict is Verdict.FAILED
    assert "billed_at_most_expected" in paying.attempts[-1].reason
    assert paid.verdict is Verdict.PASSED, paid.attempts


def test_the_plan_of_these_tests_is_of_the_single() -> None:
    plan = Plan.model_validate_json(PLAN.read_bytes())

    assert plan.choice == Choice(specs=("single",))
    assert set(QUICK) <= set(plan.chosen)
