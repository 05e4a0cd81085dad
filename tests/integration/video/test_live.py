"""The whole live path, against the fake API at a loopback address that only these tests accept."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import sweep, tagged_processes
from tests.chaos.video.fake_api.bills import Billed, Call, Received, read_bills
from tests.chaos.video.live_api import LOOPBACK_VARIABLE
from tests.integration.video.stand_in import Process

PROJECT = Path(__file__).parents[3]
KEY = "AIzaThisStandsForTheUsersPaidKey"
IMAGE_USD, VIDEO_USD = "0.067", "0.40"
"""Of the models that are used by default: the fake provider charges as the real one would."""

pytestmark = pytest.mark.timeout(180)

LONG = pytest.mark.nightly


class Provider(Process):
    """The fake API in the part of the real one: nobody controls it but by its own clock."""

    def control(self, method: str, path: str, **body: object) -> dict[str, object]:
        answer: dict[str, object] = httpx.request(
            method, f"{self.url}/control{path}", json=body or None
        ).json()
        return answer

    @property
    def billed_usd(self) -> Decimal:
        records = read_bills(self.bills_path)
        return sum((r.amount_usd for r in records if isinstance(r, Billed)), Decimal(0))

    def requests(self, *calls: Call) -> int:
        records = read_bills(self.bills_path)
        return sum(isinstance(r, Received) and r.call in calls for r in records)


def until(condition: Callable[[], object], what: str, deadline_seconds: float = 60) -> None:
    end = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with provider_in(tmp_path) as provider:
        yield provider


@contextmanager
def provider_in(folder: Path) -> Iterator[Provider]:
    provider = Provider(folder, KEY)
    try:
        provider.start(
            *("--image-seconds", "2", "--video-seconds", "4"),
            *("--image-usd", IMAGE_USD, "--video-usd", VIDEO_USD),
        )
        yield provider
    finally:
        provider.close()


@pytest.fixture(scope="module")
def temporal_cli() -> Path:
    return find_temporal_cli(None, announce=print).path


class LiveRun:
    """`pytest -m chaos --live` in a process of its own."""

    def __init__(self, folder: Path, cli: Path, provider: Provider) -> None:
        self.reports = folder / "reports"
        self.environment = {
            **os.environ,
            "TEMPORAL_CLI": str(cli),
            "GEMINI_API_KEY": KEY,
            LOOPBACK_VARIABLE: provider.url,
            "VIDEO_POLL_SECONDS": "0.3",
            "IMAGE_DEADLINE_SECONDS": "10",
            "VIDEO_START_DEADLINE_SECONDS": "10",
        }
        self._output = folder / "output.txt"

    @property
    def output(self) -> str:
        return self._output.read_text()

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pytest", "-m", "chaos", "-p", "no:cacheprovider"]
        command.append("tests/chaos")
        with self._output.open("wb") as output:
            return subprocess.Popen(
                [*command, f"--reports={self.reports}", *arguments],
                cwd=PROJECT,
                env={name: value for name, value in self.environment.items() if value},
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, *arguments: str) -> int:
        return self.start(*arguments).wait(150)


@pytest.fixture
def run(tmp_path: Path, temporal_cli: Path, provider: Provider) -> LiveRun:
    return LiveRun(tmp_path, temporal_cli, provider)


@dataclass(frozen=True)
class Whole:
    """A finished live run of all scenarios, and what the provider says of it."""

    run: LiveRun
    results: dict[str, Any]
    billed_usd: Decimal

    def scenario(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(s for s in self.results["scenarios"] if s["name"] == name)
        return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("live")
    with provider_in(folder) as provider:
        run = LiveRun(folder, temporal_cli, provider)
        assert run.end("--live", "--yes") == 0, run.output
        results = json.loads((run.reports / "latest" / "results.json").read_text())
        yield Whole(run, results, provider.billed_usd)


@LONG
@pytest.mark.sample
def test_a_live_run_costs_what_the_provider_billed(whole: Whole) -> None:
    costs = {s["name"]: Decimal(s["cost_usd"]) for s in whole.results["scenarios"]}
    image, video = Decimal(IMAGE_USD), Decimal(VIDEO_USD)

    assert (whole.results["mode"], whole.results["budget_usd"]) == ("live", "15.00")
    assert Decimal(whole.results["paid_usd"]) == sum(costs.values())
    assert costs == {
        "worker_crash": 2 * image + video,
        "retry_config": 0,
        "server_restart": image + video,
        "checkpoint": image + 3 * video,
        "concurrency": 5 * (image + video),
    }
    # The image in flight when its worker died counts as billed; only the provider knows.
    assert 0 <= sum(costs.values()) - whole.billed_usd <= image


@LONG
@pytest.mark.sample
def test_a_worker_killed_in_a_paid_call_is_in_doubt(whole: Whole) -> None:
    crash = whole.scenario("worker_crash")

    assert [call["step"] for call in crash["ambiguous"]] == ["character"]
    assert crash["waste_usd"] == crash["possible_waste_usd"] == IMAGE_USD


@LONG
@pytest.mark.sample
def test_the_checkpoints_saved_what_had_been_paid_for(whole: Whole) -> None:
    saved_usd = Decimal(whole.scenario("checkpoint")["saved_usd"])

    assert saved_usd == Decimal(IMAGE_USD) + 2 * Decimal(VIDEO_USD)


@LONG
@pytest.mark.sample
def test_what_was_paid_for_outlives_the_run(whole: Whole) -> None:
    assert (whole.run.reports / "latest" / "paid.db").exists()


@LONG
@pytest.mark.sample
def test_the_key_is_nowhere_after_a_live_run(whole: Whole) -> None:
    kept = [f.read_bytes() for f in whole.run.reports.rglob("*") if f.is_file()]

    assert len(kept) > 5
    assert not any(KEY.encode() in content for content in (whole.run.output.encode(), *kept))


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--live", "--yes"], {"GEMINI_API_KEY": ""}, "--live needs a key: put GEMINI_API_KEY"),
        (["--live"], {}, "nobody is here to agree to this; add --yes"),
        (["--live", "--yes", "--budget=1"], {}, "more than the budget of $1.00: choose fewer"),
        (
            ["--live", "--yes", "-n", "2"],
            {},
            "run all scenarios in each of its processes",
        ),
        pytest.param(
            *(["--live", "--yes", "--budget=all"], {}, "must be an amount in USD, such as 15.00"),
            marks=LONG,
        ),
        pytest.param(["--budget=3"], {}, "--budget and --yes belong to --live", marks=LONG),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_live_run_that_must_not_begin_sends_nothing(
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
    run: LiveRun,
    provider: Provider,
) -> None:
    run.environment.update(environment)

    assert run.end("-k", "concurrency or checkpoint", *arguments) == pytest.ExitCode.USAGE_ERROR
    assert sentence in run.output
    assert "Traceback" not in run.output
    assert KEY not in run.output
    assert provider.requests(*Call) == 0


@LONG
@pytest.mark.parametrize(("answer", "sentence"), [("no", "the answer was not yes"), ("yes", "1/1")])
def test_a_user_is_shown_the_cost_and_asked(answer: str, sentence: str, run: LiveRun) -> None:
    keyboard, terminal = pty.openpty()
    try:
        process = run.start("--live", "-k", "concurrency", "--workflows=2", stdin=terminal)
        until(lambda: "Type yes to pay for this" in run.output, "the question")
        assert "$0.93" in run.output
        assert "Budget: $15.00" in run.output
        os.write(keyboard, f"{answer}\n".encode())
        process.wait(100)
    finally:
        os.close(keyboard)
        os.close(terminal)

    assert sentence in run.output


@LONG
def test_a_live_run_that_is_broken_off_says_what_it_may_have_paid(
    run: LiveRun, provider: Provider
) -> None:
    halt = provider.control("POST", "/breakpoints", call="image")["id"]
    process = run.start("--live", "--yes", "-k", "concurrency", "--workflows=1")
    until(lambda: provider.control("GET", f"/breakpoints/{halt}")["state"] == "reached", run.output)
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == pytest.ExitCode.INTERRUPTED
    assert f"Paid in this run: at most ${IMAGE_USD} of the budget of $15.00" in run.output


@LONG
@pytest.mark.sample
def test_no_paid_call_is_started_when_pytest_is_gone(run: LiveRun, provider: Provider) -> None:
    halt = provider.control("POST", "/breakpoints", call="image")["id"]
    process = run.start("--live", "--yes", "-k", "concurrency", "--workflows=1")
    state = f"/breakpoints/{halt}"
    until(lambda: provider.control("GET", state)["state"] == "reached", run.output)
    ours = [(p, m) for p, m in tagged_processes() if f"chaos-run-{process.pid}-" in m]
    parents = {p.ppid() for p, _ in ours}
    # What forks the others ends by itself.
    orphans = [p for p, _ in ours if p.pid not in parents]
    keeper = _reaper(ours[0][1])
    # Both at once, and the reaper first: nobody is left who could end the workers.
    keeper.kill()
    process.send_signal(signal.SIGKILL)
    process.wait()
    try:
        provider.control("POST", f"{state}/resume")
        log = next(run.reports.rglob("worker-1.log"))
        until(
            lambda: "no process holds the lock" in log.read_text() or _is_any_gone(orphans),
            log.read_text(),
        )
        assert len(orphans) >= 2
        assert provider.requests(Call.IMAGE, Call.VIDEO_START) == 1
        if "no process holds the lock" not in log.read_text():
            pytest.skip("another run began meanwhile, and has ended what this one had left")
        assert not _is_any_gone(orphans)
    finally:
        sweep(ours[0][1])


def _is_any_gone(processes: Sequence[psutil.Process]) -> bool:
    return any(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes)


def _reaper(mark: str) -> psutil.Process:
    command = ["-m", "chaos.process.reaper", mark]
    return next(p for p in psutil.process_iter() if _arguments(p)[-3:] == command)


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
