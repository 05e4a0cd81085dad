"""A worker killed at each boundary around money: nothing is lost, nothing is paid twice unseen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.evidence.journal import Event
from chaos.invariants import Invariant
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.money import billed_at_most_expected
from tests.chaos.video.case import COMMON
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.money import every_bill_is_on_record
from tests.integration.conftest import BenchIn
from tests.integration.money.boundaries import EXPLORED, Boundary, Point, points
from tests.integration.money.sweep import Row, Sweep, kill, leave_dead, publish, rows, table
from workflows.models import video_step

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

SABOTAGE = "tests.integration.breaks.sabotage"
POINTS = [point for point in points(videos=2) if point.boundary not in EXPLORED]
"""Of the first step, of a step between, and of the last one."""

HOLDS = [check for check in COMMON if check is not attempts_are_as_expected]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evidence(
    chosen: Sequence[Point], bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> VideoEvidence:
    async with bench_in(tmp_path_factory.mktemp("kills"), StackSpec(persistent=False)) as bench:
        return await Sweep(kill, leave_dead).run(bench, chosen)


@pytest.fixture(scope="module")
def found(evidence: VideoEvidence, chosen: Sequence[Point]) -> Mapping[Point, Row]:
    found = rows(evidence, chosen)
    publish(table(found), "kill-sweep.md")
    return {row.point: row for row in found}


@pytest.mark.sample(of_each_day=3)
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.workflow_id)
async def test_a_worker_killed_there_costs_nothing_twice(
    point: Point, found: Mapping[Point, Row]
) -> None:
    row = found[point]

    assert row.status is Status.COMPLETED
    if point.in_window:
        assert row.in_doubt == 1
        assert row.billed_usd >= row.ideal_usd
    else:
        assert row.in_doubt == 0
        assert row.billed_usd == row.ideal_usd


@pytest.mark.parametrize("check", HOLDS, ids=lambda check: check.name)
async def test_every_invariant_holds_over_all_of_them(
    check: Invariant, evidence: VideoEvidence
) -> None:
    finding = await asyncio.to_thread(check.examine, evidence)
    assert finding.problems == ()


async def test_a_successor_that_forgets_what_was_bought_is_seen(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    point = Point(0, video_step(1), Boundary.OUTCOME_COMMITTED)
    forgetful = (sys.executable, "-m", SABOTAGE, "forgets_what_was_bought")
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        broken = await Sweep(kill, leave_dead, forgetful).run(bench, [point])
    (row,) = rows(broken, [point])

    assert row.billed_usd > row.ideal_usd
    assert billed_at_most_expected.examine(broken).problems
    assert every_bill_is_on_record.examine(broken).problems


async def test_each_worker_died_of_its_kill(
    evidence: VideoEvidence, chosen: Sequence[Point]
) -> None:
    journal = evidence.journal
    killed = [entry.pid for entry in journal if entry.event is Event.FAULT]
    died = {entry.pid: entry.exit_code for entry in journal if entry.event is Event.EXITED}

    assert len(killed) == len(chosen)
    assert {died[pid] for pid in killed} == {-9}
