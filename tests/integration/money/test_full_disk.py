"""A disk that is full: nothing is paid for that cannot be kept, and what is paid for waits.

The worker gets a small disk of its own in a mount namespace, which goes with the worker.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos import workload
from chaos.cluster.stack import StackSpec
from chaos.evidence import Expectation
from chaos.fake_api.holds import HoldRequest, HoldTarget
from chaos.fake_api.rules import When
from chaos.history import Status
from chaos.process import Child
from chaos.waiting import wait_until
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench, final

SIZE_MIB = 48


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    test = ("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    return subprocess.run(test, check=False, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not _can_mount(), reason="no mount namespaces here: unshare -rm failed"),
]


@dataclass(frozen=True)
class SmallDisk:
    """A worker whose folder is a disk of 48 MiB."""

    bench: Bench
    child: Child
    folder: Path

    @property
    def filler(self) -> Path:
        return Path(f"/proc/{self.child.pid}/root{self.folder}/filler")

    def fill(self) -> None:
        handle = os.open(self.filler, os.O_WRONLY | os.O_CREAT)
        try:
            with pytest.raises(OSError, match="No space left"):
                _write_for_ever(handle)
        finally:
            os.close(handle)

    def make_room(self) -> None:
        self.filler.unlink()

    async def says(self, words: str) -> None:
        await wait_until(
            lambda: words in self.child.log.read_text(),
            what=f"the worker says {words!r}",
            deadline_seconds=DEADLINE_SECONDS,
        )


def _write_for_ever(handle: int) -> None:
    while True:
        os.write(handle, bytes(4096))


async def small_disk(bench: Bench, folder: Path, setting: str, value: str) -> SmallDisk:
    command = f'mount -t tmpfs -o size={SIZE_MIB}m tmpfs "$0" && exec "$1" -m workflows.worker'
    worker = await bench.lab.worker(
        argv=("unshare", "-rm", "sh", "-c", command, str(folder), sys.executable),
        settings={setting: value},
    )
    return SmallDisk(bench, worker.child, folder)


@pytest.fixture
async def bench(bench_in: BenchIn, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        yield bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
async def artifacts_disk(bench: Bench, folder: Path) -> SmallDisk:
    return await small_disk(bench, folder, "ARTIFACTS_DIR", str(folder))


@pytest.fixture
async def ledger_disk(bench: Bench, folder: Path) -> SmallDisk:
    return await small_disk(bench, folder, "LEDGER_URL", f"sqlite:///{folder}/paid.db")


async def completes_when_started_again(bench: Bench, asked: Expectation) -> None:
    await bench.lab.start(asked)
    workflow = await bench.ended(asked)
    assert workflow.status is Status.COMPLETED
    assert await bench.billed(asked) == list(asked.prompts)


async def test_nothing_is_paid_for_when_the_artifacts_disk_is_full(
    artifacts_disk: SmallDisk,
) -> None:
    bench, asked = artifacts_disk.bench, workload.single("no-room")
    artifacts_disk.fill()
    await bench.lab.start(asked)
    workflow = await bench.ended(asked)

    assert workflow.status is Status.FAILED
    assert "cannot be written to (No space left on device); make room" in workflow.failure_message
    assert await bench.requested(asked) == []
    artifacts_disk.make_room()
    await completes_when_started_again(bench, asked)


@pytest.mark.parametrize("target", [HoldTarget.IMAGE, HoldTarget.VIDEO_START])
async def test_a_reply_that_finds_the_disk_full_waits_for_room(
    target: HoldTarget, artifacts_disk: SmallDisk
) -> None:
    bench, asked = artifacts_disk.bench, workload.single(f"room-later-{target}")
    hold = await bench.lab.stack.api.control.hold(HoldRequest(call=target, when=When.AFTER_BILLING))
    await bench.lab.start(asked)
    await hold.caught(DEADLINE_SECONDS)
    artifacts_disk.fill()
    await hold.release()
    await artifacts_disk.says("is paid for and waits to be stored")
    artifacts_disk.make_room()
    workflow = await bench.ended(asked)

    assert workflow.status is Status.COMPLETED
    assert await bench.billed(asked) == list(asked.prompts)
    assert final(workflow).possible_waste_usd == 0


async def test_nothing_is_paid_for_when_the_ledgers_disk_is_full(ledger_disk: SmallDisk) -> None:
    bench, asked = ledger_disk.bench, workload.single("no-room-for-the-ledger")
    ledger_disk.fill()
    await bench.lab.start(asked)
    await ledger_disk.says("no room left on its disk; make room")
    assert await bench.requested(asked) == []
    ledger_disk.make_room()
    workflow = await bench.ended(asked)

    # The retry policy's own waits were enough here: a full disk is no lasting fault.
    assert workflow.status is Status.COMPLETED
    assert await bench.billed(asked) == list(asked.prompts)


async def test_an_outcome_that_finds_the_ledgers_disk_full_waits_for_room(
    ledger_disk: SmallDisk,
) -> None:
    bench, asked = ledger_disk.bench, workload.single("room-for-the-ledger-later")
    hold = await bench.lab.stack.api.control.hold(
        HoldRequest(call=HoldTarget.VIDEO_START, when=When.AFTER_BILLING)
    )
    await bench.lab.start(asked)
    await hold.caught(DEADLINE_SECONDS)
    ledger_disk.fill()
    await hold.release()
    await ledger_disk.says("is paid for and waits to be stored")
    ledger_disk.make_room()
    workflow = await bench.ended(asked)

    assert workflow.status is Status.COMPLETED
    assert await bench.billed(asked) == list(asked.prompts)
    assert final(workflow).possible_waste_usd == 0
