"""Fixtures: a running stand-in, and Google's client pointed at it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from google.genai.client import AsyncClient

from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.video.stand_in import Process, Service, google_client

FAST = LatencyChange(
    image_seconds=0, video_start_seconds=0, video_seconds=0, poll_seconds=0, download_seconds=0
)


@contextmanager
def _running(folder: Path) -> Iterator[Process]:
    process = Process(folder)
    try:
        process.start()
        yield process
    finally:
        process.close()


@pytest.fixture(scope="module")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One stand-in for all tests that leave it running."""
    with _running(tmp_path_factory.mktemp("stand-in")) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared_process: Process) -> AsyncIterator[Service]:
    """The shared stand-in, healthy and quick, and seen from here on."""
    service = Service(shared_process)
    async with service.control as control:
        await control.set_latencies(FAST)
        yield service
        await control.clear_rules()
        await control.resume_all()
        await service.quiet()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A stand-in of the test's own, to kill and start again."""
    with _running(tmp_path) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def own(process: Process) -> AsyncIterator[Service]:
    """The test's view of its own stand-in."""
    service = Service(process)
    async with service.control:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def google(shared_process: Process) -> AsyncIterator[AsyncClient]:
    """Google's client of the shared stand-in, with the right key; slow to make, so shared too."""
    async with google_client(shared_process.url) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def own_google(own: Service) -> AsyncIterator[AsyncClient]:
    """Google's client of the test's own stand-in."""
    async with google_client(own.url) as client:
        yield client
