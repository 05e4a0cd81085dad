"""Fixtures of all that start processes: a guard, the server program, a stack without workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from chaos.binaries import find_temporal_cli
from chaos.cluster.stack import Place, Stack, StackSpec
from chaos.guardian import Guard
from chaos.journal import Journal
from chaos.lab import Lab, Options
from tests.integration.workflows.bench import Bench

BenchIn = Callable[[Path, StackSpec], AbstractAsyncContextManager[Bench]]


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    """Whoever leaves something behind, this clears up."""
    with Guard() as guard:
        yield guard


@pytest.fixture(scope="session")
def temporal_cli() -> Path:
    return find_temporal_cli(None, announce=print).path


@pytest.fixture(scope="session")
def bench_in(guard: Guard, temporal_cli: Path) -> BenchIn:
    """Makes a bench without workers in a folder."""

    @asynccontextmanager
    async def make(folder: Path, spec: StackSpec) -> AsyncIterator[Bench]:
        evidence, scratch = folder / "evidence", folder / "scratch"
        scratch.mkdir()
        journal = Journal(evidence / "journal.jsonl", announce=print)
        try:
            place = Place(guard.mark, scratch, evidence, temporal_cli)
            async with Stack(spec, place, journal) as stack:
                yield Bench(Lab(stack, journal, Options()), evidence)
        finally:
            journal.close()

    return make
