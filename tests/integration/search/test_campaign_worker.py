"""`temporal-chaos worker` as a process: what it says, how it ends, what becomes of its cases."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from chaos.invariants.verdict import Verdict
from chaos.process.ports import Port
from chaos.process.reaper import Reaper, tagged_processes
from chaos.process.waiting import wait_until
from chaos.search.campaign import names
from chaos.search.campaign.account import Limits
from chaos.search.campaign.beat import Beat
from chaos.search.campaign.code import code_of
from chaos.search.campaign.keep import read_record
from chaos.search.campaign.model import Campaign, Explore, Stage
from chaos.search.campaign.store import Store
from tests.integration.search.stand_ins import Handle, campaign_of, start
from tests.integration.wire.bed import bed_in, start_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE_POINT = Explore(specs=("order",), sample=1)


class Worker:
    """A process of the program, and what it said."""

    def __init__(self, project: Path, address: str, queue: str, cli: Path, log: Path) -> None:
        self._log = log
        command = ("-m", "chaos", "worker", "--on", address, "--queue", queue, "--at-most", "1")
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=project,
                env={**os.environ, "TEMPORAL_CLI": str(cli)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    async def until_said(self, text: str) -> None:
        await wait_until(lambda: text in self.said, what=text, deadline_seconds=30)

    async def end(self, number: signal.Signals) -> int:
        """Its exit code, when nothing of it is left."""
        self.process.send_signal(number)
        code = await asyncio.to_thread(self.process.wait, 30)
        await wait_until(lambda: not self.left(), what="nothing is left", deadline_seconds=30)
        return code

    def left(self) -> Sequence[object]:
        prefix = f"chaos-run-{self.process.pid}-"
        folders = list(Path(tempfile.gettempdir()).glob(f"{prefix}*"))
        return [
            *folders,
            *(p for p, tag in tagged_processes() if Path(tag).name.startswith(prefix)),
        ]


Begin = Callable[..., Worker]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(
    reaper: Reaper, temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    async with bed_in(tmp_path_factory.mktemp("control"), reaper.run_tag) as bed:
        yield await (await start_server(bed, temporal_cli)).connect()


@pytest.fixture
def begin(orders: Path, temporal_cli: Path, tmp_path: Path) -> Iterator[Begin]:
    """Starts workers in a project."""
    begun: list[Worker] = []

    def new(address: str, queue: str = "queue") -> Worker:
        log = tmp_path / f"worker-{len(begun)}.log"
        begun.append(Worker(orders, address, queue, temporal_cli, log))
        return begun[-1]

    yield new
    for each in begun:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def campaign(orders: Path, tmp_path: Path) -> Campaign:
    found = campaign_of(ONE_POINT)
    here = {"code": code_of(orders), "evidence": str(tmp_path / "evidence")}
    return found.model_copy(update=here)


async def test_one_whose_control_cluster_is_away_says_so_once_and_waits(
    begin: Begin, nobody: Port, orders: Path
) -> None:
    worker = begin(nobody.address)
    await worker.until_said("It is tried again and again.")
    code = await worker.end(signal.SIGINT)

    first, second, *more = worker.said.splitlines()
    assert first.endswith(
        f" serves tests.shop:SHOP, code {code_of(orders)}, to the queue queue on {nobody.address}: "
        "1 case at once."
    )
    assert second.startswith(f"cannot connect to Temporal at {nobody.address} (")
    assert (code, more) == (130, [])


async def test_one_whose_code_has_changed_ends_and_says_what_to_do(
    begin: Begin, client: Client, campaign: Campaign, orders: Path
) -> None:
    worker = begin(client.service_client.config.target_host, campaign.queue)
    await worker.until_said(" serves ")
    (orders / "orders" / "new.py").touch()
    handle = await start(client, campaign, Limits())
    code = await asyncio.to_thread(worker.process.wait, 30)
    await handle.terminate()

    assert code == 2
    last = worker.said.splitlines()[-1]
    assert last == (
        f"worker: the code in {orders} has changed from {campaign.code} to {code_of(orders)}: "
        "start it again."
    )
    assert worker.left() == []


@pytest.mark.nightly
@pytest.mark.sample
@pytest.mark.timeout(240)
async def test_a_case_whose_machine_dies_runs_again_and_one_that_is_handed_back_is_not_lost(
    begin: Begin, client: Client, campaign: Campaign
) -> None:
    address = client.service_client.config.target_host
    handle = await start(client, campaign, Limits(heartbeat_seconds=12))

    told = begin(address, campaign.queue)
    first = await running(client, handle)
    assert await told.end(signal.SIGTERM) == 0

    killed = begin(address, campaign.queue)
    second = await running(client, handle, attempt=first.attempt + 1)
    assert await killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert second.lost == ()

    last = begin(address, campaign.queue)
    ended = await handle.result()
    assert await last.end(signal.SIGTERM) == 0

    assert (ended.judged, ended.passed, ended.run_again, ended.never) == (1, 1, 1, ())
    store = Store.open(campaign.evidence, campaign.campaign_id)
    (verdict,) = (name for name in store.list("cases") if name.endswith("verdict.json"))
    record = read_record(store, verdict.split("/")[1])
    assert record is not None
    (lost,) = record.judged.lost
    assert (lost.machine, lost.attempt, lost.stage) == (second.machine, 2, Stage.RUNNING)
    assert lost.machine.endswith(f"-{killed.process.pid}")
    assert record.judged.machine.endswith(f"-{last.process.pid}")
    assert (record.judged.verdict, record.judged.attempt) == (Verdict.PASSED, 3)
    assert record.versions.target == campaign.code
    assert record.cpu_seconds > 0
    assert record.files
    assert store.read(record.bundle)


async def running(client: Client, handle: Handle, attempt: int = 1) -> Beat:
    """The heartbeat of a case in the middle, of that attempt or a later one."""
    found: list[Beat] = []

    async def is_running() -> bool:
        described = await handle.describe()
        for pending in described.raw_description.pending_activities:
            if pending.activity_type.name == names.CASE and pending.heartbeat_details.payloads:
                details = await client.data_converter.decode(pending.heartbeat_details.payloads)
                beat = Beat.model_validate(details[0])
                if beat.attempt >= attempt and beat.stage is Stage.RUNNING:
                    found.append(beat)
        return bool(found)

    await wait_until(is_running, what="a case is running", deadline_seconds=90)
    return found[-1]
