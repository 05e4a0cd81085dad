"""Benchmarks at their smallest: they measure, hit what they mean to hit, and leave nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from benchmarks import peer
from benchmarks.bed import Bed
from benchmarks.concurrency import IDEAL, THROUGHPUT, WALL, bursts
from benchmarks.peer import DBOS, OURS, PAID
from benchmarks.points import Point
from benchmarks.share import share
from chaos.process.reaper import Reaper, tagged_processes

pytestmark = pytest.mark.nightly


@pytest_asyncio.fixture
async def bed(reaper: Reaper, temporal_cli: Path, tmp_path: Path) -> AsyncIterator[Bed]:
    """A bed whose processes are seen to be gone."""
    before = {process.pid for process, _ in tagged_processes()}
    yield Bed(tmp_path, reaper.run_tag, temporal_cli)
    left = [
        p.pid for p, mark in tagged_processes() if mark == reaper.run_tag and p.pid not in before
    ]
    assert left == []


@pytest.mark.sample
async def test_two_workflows_at_once_are_measured(bed: Bed) -> None:
    found = await bursts(bed, {2: 1})

    (row,) = found.tables[0].rows
    assert row.cells[IDEAL].median > 0
    assert row.cells[THROUGHPUT].median == pytest.approx(2 / row.cells[WALL].median, rel=0.01)


async def test_what_was_done_and_not_reported_is_paid_again_without_a_payment_journal(
    bed: Bed,
) -> None:
    found = await peer.kills(bed, [Point.AFTER_VIDEO], (DBOS, OURS))

    paid = next(table for table in found.tables if table.title.startswith(PAID))
    cells = paid.row(Point.AFTER_VIDEO).cells
    assert {name: cell.values for name, cell in cells.items()} == {DBOS: (3.0,), OURS: (2.0,)}


async def test_a_share_of_the_processors_is_held_and_counted(bed: Bed) -> None:
    with share(f"{Path(bed.run_tag).name}-test", 0.25) as given:
        if given is None:
            pytest.skip("this machine makes no CPU cgroups")
        spin = "import time; end = time.monotonic() + 2\nwhile time.monotonic() < end: pass"
        process = await asyncio.create_subprocess_exec(
            *given.entering([sys.executable, "-c", spin])
        )
        await process.wait()

        assert 0.1 < given.cpu_seconds < 1.0
