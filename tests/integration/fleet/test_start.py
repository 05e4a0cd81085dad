"""What a user sees of a supervisor that cannot start: one line that says why, and no worker; or
that it waits for Temporal.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.reaper import Reaper, tagged_processes
from chaos.process.waiting import wait_until
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import waiting_program
from tests.integration.fleet.supervised import DEADLINE_SECONDS
from tests.integration.workflows.bench import Bench

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

SECRET = "hush-hush"

Start = Callable[..., str]


@pytest.fixture
def complaint(reaper: Reaper, tmp_path: Path, bench: Bench) -> Start:
    """Starts a supervisor with these settings in an empty folder, and returns the one line it says
    before it ends with exit code 2.
    """

    def start(**settings: str) -> str:
        temporal = bench.lab.stack.temporal.worker_environment
        environment = child_environment(reaper.run_tag, tmp_path, {**temporal, **settings})
        ended = subprocess.run(
            [*VIDEO.supervisor, "--workers", "2"],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        (line,) = ended.stderr.splitlines()
        assert workers_in(tmp_path) == []
        return line

    return start


def workers_in(folder: Path) -> list[psutil.Process]:
    """Processes of the run that work in a folder."""
    found = []
    for process, _ in tagged_processes():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"GEMINI_API_KEY": ""}, "GEMINI_API_KEY is empty"),
        ({"GEMINI_API_KEY": f"{SECRET}\n"}, "GEMINI_API_KEY has a space, a line break"),
        (
            {"HTTPS_PROXY": f"foo://me:{SECRET}@proxy.test"},
            "HTTPS_PROXY is not a proxy's address; ",
        ),
        ({"ALERT_URLS": SECRET}, "ALERT_URLS must be Apprise URLs"),
        ({"TEMPORAL_NAMESPACE": "nowhere"}, "the Temporal namespace 'nowhere' does not exist at "),
        ({"PAYMENT_JOURNAL_URL": "sqlite:////no/such/folder/paid.db"}, "the payment journal"),
        (
            {"PAYMENT_JOURNAL_URL": f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/paid"},
            "the payment journal",
        ),
        ({"METRICS_ADDRESS": "127.0.0.1:65535"}, "METRICS_ADDRESS leaves too few ports for 2"),
    ],
)
async def test_a_wrong_setting_is_a_sentence_without_a_secret(
    complaint: Start, settings: Mapping[str, str], expected: str
) -> None:
    line = complaint(**{"GEMINI_API_KEY": SECRET, **settings})
    assert line.startswith(f"fleet: {expected}")
    assert SECRET not in line


# A Temporal that is not up yet


@pytest.fixture
def waiting(reaper: Reaper, tmp_path: Path, nobody: Port) -> Iterator[subprocess.Popen[str]]:
    """A supervisor that waits for a Temporal that is not there."""
    settings = {"TEMPORAL_ADDRESS": nobody.address, "GEMINI_API_KEY": SECRET}
    with waiting_program(VIDEO.supervisor, reaper, tmp_path, settings) as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_supervisor_that_waits_says_so_and_stops_at_once(
    waiting: subprocess.Popen[str], tmp_path: Path, nobody: Port, number: signal.Signals
) -> None:
    assert waiting.stderr
    wait = waiting.stderr.readline()
    waiting.send_signal(number)
    _, rest = waiting.communicate(timeout=5)

    assert wait.endswith(
        f"Temporal at {nobody.address} does not answer yet; trying for another 60 s\n"
    )
    (line,) = rest.splitlines()
    assert line.endswith("stopped before Temporal was up")
    assert waiting.returncode == 0
    assert workers_in(tmp_path) == []


# A command that is none


@pytest.fixture
def lone(reaper: Reaper, tmp_path: Path, bench: Bench) -> Iterator[Child]:
    """A supervisor whose workers cannot be started."""
    environment: Mapping[str, str] = {
        **bench.lab.stack.temporal.worker_environment,
        "GEMINI_API_KEY": bench.lab.stack.secret,
        "TASK_QUEUE": "nobody-comes",
    }
    journal = Journal(tmp_path / "journal.jsonl", announce=print)
    yield Child(
        name="lone-supervisor",
        argv=[*VIDEO.supervisor, "--workers", "1", "--command", "no-such-program --at-all"],
        environment=child_environment(reaper.run_tag, tmp_path, environment),
        folder=tmp_path,
        log=tmp_path / "supervisor.log",
        journal=journal,
    )
    journal.close()


async def test_a_command_that_does_not_exist_is_logged_at_each_try(
    lone: Child, bench: Bench
) -> None:
    sentence = "worker-1 cannot be started (No such file or directory: no-such-program)\n"
    lone.start()
    try:
        await wait_until(
            lambda: lone.log.read_text().count(sentence) == 2,
            what="it has tried twice",
            deadline_seconds=DEADLINE_SECONDS,
        )
        lone.send(signal.SIGTERM)
        assert await lone.wait(DEADLINE_SECONDS) == 0
    finally:
        await lone.discard()
    log = lone.log.read_text()
    assert "Traceback" not in log
    assert bench.lab.stack.secret not in log
