"""What a user sees of a worker that cannot start: exit code 2 and one line that says why; or that
it waits for Temporal.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.evidence.history import Status
from chaos.process.child import child_environment
from chaos.process.ports import Port
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import waiting_program
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench

KEY = "hush-hush"

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(reaper: Reaper, tmp_path: Path, nobody: Port) -> Start:
    """Starts a worker in an empty folder, with these settings, and waits for its end."""

    def start(**settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            VIDEO.worker,
            env=child_environment(
                reaper.run_tag, tmp_path, {"TEMPORAL_ADDRESS": nobody.address, **settings}
            ),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return start


def complaint(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr of a worker that exited with 2."""
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


def test_a_missing_key_is_told(start: Start) -> None:
    expected = "worker: GEMINI_API_KEY is not set; put it into the environment or into .env."
    assert complaint(start()) == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"GEMINI_API_KEY": f"{KEY}\n{KEY}"}, "GEMINI_API_KEY has a space, a line break"),
        ({"HTTPS_PROXY": f"foo://me:{KEY}@proxy.test"}, "HTTPS_PROXY is not a proxy's address; "),
        ({"TEMPORAL_ADDRESS": "no address"}, "cannot connect to Temporal at no address ("),
        ({"LEDGER_URL": ""}, "LEDGER_URL is now called PAYMENT_JOURNAL_URL; rename it."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_told_and_no_secret_shown(
    start: Start, settings: dict[str, str], words: str
) -> None:
    line = complaint(start(**{"GEMINI_API_KEY": KEY, **settings}))
    assert line.startswith(f"worker: {words}")
    assert KEY not in line


def test_a_file_beside_it_has_settings_and_the_environment_counts_more(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("GEMINI_API_KEY=a key of the file\n")
    assert complaint(start()).startswith("worker: GEMINI_API_KEY has a space")
    expected = "worker: VIDEO_SECONDS must be 4, 6 or 8, not 5."
    assert complaint(start(GEMINI_API_KEY=KEY, VIDEO_SECONDS="5")) == expected


@pytest.mark.asyncio(loop_scope="session")
async def test_a_namespace_that_does_not_exist_is_told(start: Start, bench: Bench) -> None:
    address = bench.lab.stack.temporal.worker_environment["TEMPORAL_ADDRESS"]
    line = complaint(
        start(GEMINI_API_KEY=KEY, TEMPORAL_ADDRESS=address, TEMPORAL_NAMESPACE="nowhere")
    )
    assert line.startswith("worker: the Temporal namespace 'nowhere' does not exist at ")
    assert line.endswith("; create it, or correct TEMPORAL_NAMESPACE.")


# A Temporal that is not up yet


@pytest.fixture
def waiting(reaper: Reaper, tmp_path: Path, nobody: Port) -> Iterator[subprocess.Popen[str]]:
    """A worker that has two keys and waits for a Temporal that is not there."""
    settings = {"TEMPORAL_ADDRESS": nobody.address, "GEMINI_API_KEY": KEY, "GOOGLE_API_KEY": KEY}
    with waiting_program(VIDEO.worker, reaper, tmp_path, settings) as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_says_so_and_stops_at_once(
    waiting: subprocess.Popen[str], nobody: Port, number: signal.Signals
) -> None:
    assert waiting.stderr
    keys, wait = waiting.stderr.readline(), waiting.stderr.readline()
    waiting.send_signal(number)
    _, rest = waiting.communicate(timeout=5)

    assert keys.endswith("both GEMINI_API_KEY and GOOGLE_API_KEY are set; GEMINI_API_KEY is used\n")
    assert wait.endswith(
        f"Temporal at {nobody.address} does not answer yet; trying for another 60 s\n"
    )
    (line,) = rest.splitlines()
    assert line.endswith("stopped before Temporal was up")
    assert waiting.returncode == 0
    assert KEY not in keys + wait + rest


async def test_a_worker_that_is_started_before_temporal_works_once_that_is_up(
    own_bench: Bench,
) -> None:
    stack = own_bench.lab.stack
    await stack.server.child.kill()
    starting = asyncio.create_task(own_bench.lab.worker())
    log = own_bench.folder / "logs" / "worker-1.log"
    await wait_until(
        lambda: log.exists() and "does not answer yet" in log.read_text(),
        what="the worker waits",
        deadline_seconds=DEADLINE_SECONDS,
    )
    await stack.server.start()
    worker = await starting

    workflow = await own_bench.run(specs.single("after-the-wait"))

    assert workflow.status is Status.COMPLETED
    assert stack.workers == [worker]
