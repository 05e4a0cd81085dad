"""Benchmarks at their smallest: they measure, hit what they mean to hit, and leave nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from benchmarks import peer
from benchmarks.bed import Bed
from benchmarks.concurrency import IDEAL, THROUGHPUT, WALL, bursts
from benchmarks.peer import DBOS, OURS, PAID
from benchmarks.points import Point
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
