"""Fixtures of all that start processes: a reaper, the server program, a stack without workers."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.evidence.journal import Journal
from chaos.experiment.lab import Options
from chaos.process.child import child_environment, spawning
from chaos.process.ports import Port
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.process.spawner import Spawner
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.target import PROJECT, VIDEO
from tests.integration.workflows.bench import Bench

if TYPE_CHECKING:
    from playwright.async_api import Browser

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it sends to the background, and all that is started here would inherit
    # it: nobody could end a run by Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

BenchIn = Callable[[Path, StackSpec], AbstractAsyncContextManager[Bench]]


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A copy of the example, a project of its own."""
    ignore = shutil.ignore_patterns("reports", "__pycache__")
    return Path(shutil.copytree(PROJECT / "examples/orders", tmp_path / "orders", ignore=ignore))


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    """Whoever leaves something behind, this clears up."""
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
def nobody() -> Iterator[Port]:
    """A port where nobody answers."""
    port = Port()
    yield port
    port.release()


@contextmanager
def waiting_program(
    argv: Sequence[str], reaper: Reaper, folder: Path, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A program in a folder of its own, its log to be read, for a block that may end it."""
    with subprocess.Popen(
        argv,
        env=child_environment(reaper.run_tag, folder, settings),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture(scope="session")
def spawner(reaper: Reaper) -> Iterator[Spawner]:
    """Starts the video system's programs."""
    with spawning(reaper, VIDEO.preload, PROJECT) as spawner:
        yield spawner


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all pages."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - of the group `tests`

    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip(f"none of {', '.join(names)} is on PATH")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def temporal_cli() -> Path:
    return find_temporal_cli(None, announce=print).path


@pytest.fixture(scope="session")
def bench_in(reaper: Reaper, spawner: Spawner, temporal_cli: Path) -> BenchIn:
    """Makes a bench without workers in a folder."""

    @asynccontextmanager
    async def make(folder: Path, spec: StackSpec) -> AsyncIterator[Bench]:
        evidence, scratch = folder / "evidence", folder / "scratch"
        scratch.mkdir()
        journal = Journal(evidence / "journal.jsonl", announce=print)
        try:
            config = StackConfig(reaper.run_tag, scratch, evidence, temporal_cli, spawner=spawner)
            async with Stack(spec, VIDEO, config, journal) as stack:
                lab = VideoLab(stack, journal, Options())
                try:
                    yield Bench(lab, evidence)
                finally:
                    await lab.close()
        finally:
            journal.close()

    return make
