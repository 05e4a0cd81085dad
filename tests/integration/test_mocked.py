"""Without --live nothing of a run can reach the real API, whatever the user's environment says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psutil
import pytest

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.process.child import CANARY
from tests.chaos.video import specs
from tests.chaos.video.live_api import LOOPBACK_VARIABLE, is_loopback
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench

KEY = "AIzaThisStandsForTheUsersPaidKey"
# TEST-NET-1: an address that nobody has.
HOSTILE = {
    "GEMINI_API_KEY": KEY,
    "GOOGLE_API_KEY": KEY,
    "GOOGLE_GEMINI_BASE_URL": "http://192.0.2.1",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GEMINI_IMAGE_MODEL": "gemini-3.1-flash-image",
    "GEMINI_VIDEO_MODEL": "veo-3.1-generate-preview",
    "HTTP_PROXY": "http://192.0.2.2:3128",
    "HTTPS_PROXY": "http://192.0.2.2:3128",
    "ALL_PROXY": "http://192.0.2.2:3128",
    LOOPBACK_VARIABLE: "http://192.0.2.3",
    "BUDGET_USD": "0",
    "IN_DOUBT_POLICY": "ask",
    "PAYMENT_JOURNAL_URL": "postgresql+psycopg://user@192.0.2.4/paid",
    "TEMPORAL_ADDRESS": "192.0.2.5:7233",
}


@pytest.fixture
async def bench(
    bench_in: BenchIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """A stack with one worker, started by a user who has all of that set, and in a file too."""
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("".join(f"{n}={v}\n" for n, v in HOSTILE.items()))
    monkeypatch.chdir(tmp_path)
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        # Not forked: then the system tells the environment of what forks.
        await bench.lab.worker(argv=("/usr/bin/env", *VIDEO.worker))
        yield bench


def _environment(bench: Bench) -> Mapping[str, str]:
    """What the worker's process really has, as the system tells it."""
    (worker,) = bench.lab.stack.workers
    return psutil.Process(worker.child.pid).environ()


async def test_a_mocked_worker_knows_the_fake_api_and_nothing_of_the_users(bench: Bench) -> None:
    environment = _environment(bench)
    url = environment["GOOGLE_GEMINI_BASE_URL"]

    assert url == f"http://{bench.lab.stack.services['api'].port.address}"
    assert is_loopback(url)
    assert environment["GEMINI_API_KEY"].startswith(CANARY)
    assert [n for n, value in environment.items() if value in HOSTILE.values()] == []

    spec = specs.single("mocked-whatever-is-set")
    workflow = await bench.run(spec)

    assert workflow.status is Status.COMPLETED
    assert await bench.billed(spec) == list(spec.prompts)
