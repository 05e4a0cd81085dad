"""Workers that are there already, as pods on somebody's cluster: a run starts none, breaks them by
commands, and judges by evidence.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chaos.environment.stack import Stack, StackConfig
from chaos.environment.target import EVIDENCE, PORT, Service, Target
from chaos.environment.temporal import StackSpec
from chaos.evidence.journal import Journal
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(240)]

PROJECT = Path(__file__).parents[3]
ORDERS = PROJECT / "examples" / "orders"
DOUBLES = ORDERS / "orders" / "doubles.py"
PODS = Path(__file__).parent / "pods"
ANSWER_SECONDS = "3"
"""A charge takes so long that a command comes to its pod in time."""


@dataclass
class Shop:
    """A shop that somebody runs: its cluster, its pods, its books, and a project that tests it."""

    address: str
    pods: Path
    books: Path
    project: Path

    def begin(self, scenario: str) -> subprocess.Popen[str]:
        kubectl = [sys.executable, str(PODS / "kubectl.py"), str(self.pods)]
        return subprocess.Popen(
            [sys.executable, "-m", "chaos", "run", scenario, "--topology", "external"],
            cwd=self.project,
            env={
                **{n: v for n, v in os.environ.items() if not n.startswith("TEMPORAL_")},
                "PYTHONPATH": str(PROJECT),
                "TEMPORAL_ADDRESS": self.address,
                "KUBECTL": json.dumps(kubectl),
                "SHOP_BOOKS": str(self.books),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def case(self) -> dict[str, Any]:
        results = json.loads((self.project / "reports/latest/results.json").read_bytes())
        (scenario,) = results["scenarios"]
        (case,) = scenario["cases"]
        found: dict[str, Any] = case
        return found


@asynccontextmanager
async def _open(
    tmp_path: Path, reaper: Reaper, cli: Path, pods: int, worker: str = "orders.worker"
) -> AsyncIterator[Shop]:
    """A shop with so many pods."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "pods").mkdir()
    config = StackConfig(reaper.run_tag, tmp_path / "scratch", tmp_path / "theirs", cli)
    journal = Journal(tmp_path / "theirs" / "journal.jsonl", lambda _: None)
    async with Stack(StackSpec(), _theirs(worker), config, journal) as stack:
        for number in range(1, pods + 1):
            started = await stack.start_worker()
            (tmp_path / "pods" / f"pod-{number}").write_text(str(started.child.pid))
        address, books = stack.temporal.address, stack.evidence_folder
        yield Shop(address, tmp_path / "pods", books, _project_in(tmp_path))
    journal.close()


def _theirs(worker: str) -> Target:
    def double(name: str, books: str) -> Service:
        return Service(
            name=name,
            argv=(sys.executable, str(DOUBLES), PORT, f"{EVIDENCE}/{books}"),
            variable=f"{name.upper()}_URL",
            settings={"ANSWER_SECONDS": ANSWER_SECONDS},
        )

    return Target(
        worker=(sys.executable, "-m", worker),
        task_queue="orders",
        cwd=ORDERS,
        services=(double("payments", "charges.jsonl"), double("carrier", "parcels.jsonl")),
    )


def _project_in(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("reports", "__pycache__")
    project = Path(shutil.copytree(ORDERS, tmp_path / "orders", ignore=ignored))
    shutil.copy(PODS / "pods.py", project / "tests" / "pods.py")
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("tests.shop:SHOP", "tests.pods:PODS"))
    return project


async def _ended(run: subprocess.Popen[str]) -> str:
    """What it has said, once it is over."""
    output, _ = await asyncio.to_thread(run.communicate)
    return output


def _problems(case: dict[str, Any]) -> Sequence[str]:
    return [
        f"{check['check']}: {problem}"
        for check in case["checks"]
        if check["verdict"] == case["verdict"]
        for problem in check["problems"]
    ]


@pytest.mark.sample
async def test_a_pod_that_is_deleted_at_work_is_survived(
    tmp_path: Path, reaper: Reaper, temporal_cli: Path
) -> None:
    async with _open(tmp_path, reaper, temporal_cli, pods=2) as shop:
        run = shop.begin("pod_at_work")
        output = await _ended(run)

    assert run.returncode == pytest.ExitCode.OK, output
    case = shop.case()
    assert case["verdict"] == "passed"
    (fault,) = case["faults"]
    assert (fault["kind"], fault["target"]) == ("command", "delete_pod")
    assert 15 <= fault["recovery_s"]["total"] <= 60
    log = (shop.project / "reports/latest/pod_at_work/only/logs/delete_pod.log").read_text()
    assert "deleted\n(0)\n$ " in log


async def test_a_worker_that_forgets_its_keys_is_found(
    tmp_path: Path, reaper: Reaper, temporal_cli: Path
) -> None:
    worker = "tests.forgetful_worker"
    async with _open(tmp_path, reaper, temporal_cli, pods=2, worker=worker) as shop:
        run = shop.begin("pod_at_work")
        output = await _ended(run)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, output
    twice = "charges 'order-pod-lost' was billed 2 times instead of 1"
    assert shop.case()["verdict"] == "failed"
    assert _problems(shop.case()) == [f"billed_at_most_expected: {twice}"]


async def test_a_pod_that_had_nothing_in_flight_proves_nothing(
    tmp_path: Path, reaper: Reaper, temporal_cli: Path
) -> None:
    async with _open(tmp_path, reaper, temporal_cli, pods=4) as shop:
        run = shop.begin("pod_at_rest")
        output = await _ended(run)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, output
    case = shop.case()
    assert case["verdict"] == "unknown"
    assert any(p.endswith("had nothing in flight") for p in _problems(case)), _problems(case)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_a_run_that_is_broken_off_heals_what_it_has_broken(
    ending: signal.Signals, tmp_path: Path, reaper: Reaper, temporal_cli: Path
) -> None:
    async with _open(tmp_path, reaper, temporal_cli, pods=1) as shop:
        run = shop.begin("never_ends")
        mark = shop.books / "in-force"
        await wait_until(mark.exists, what="the fault is in force", deadline_seconds=60)
        run.send_signal(ending)
        output = await _ended(run)

    assert run.returncode == pytest.ExitCode.INTERRUPTED, output
    assert not mark.exists()
