"""A cluster on PostgreSQL: its processes, their restarts, its settings and its data."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError

from chaos.environment.cluster import TemporalCluster
from chaos.environment.factory import ProcessFactory
from chaos.environment.roles import ROLES
from chaos.environment.temporal import NAMESPACE, StackSpec
from chaos.evidence.journal import Journal
from tests.integration.environment.conftest import MakeFactory, running
from tests.integration.environment.limited import LIMIT, is_limited

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]
TOO_LONG = "x" * 60
SPEC = StackSpec(dynamic_config={"limit.maxIDLength": "50"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    make_factory: MakeFactory, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TemporalCluster]:
    """One for all tests, each of which leaves it running."""
    async with running(make_factory("plain"), tmp_path_factory.mktemp("plain"), SPEC) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def client(cluster: TemporalCluster) -> Client:
    return await cluster.connect()


async def test_every_role_is_a_process_of_its_own(cluster: TemporalCluster) -> None:
    pids = {child.pid for child in cluster.processes.values()}

    assert list(cluster.processes) == ["postgres", *ROLES]
    assert len(pids) == 6
    for name, role in ROLES.items():
        process = psutil.Process(cluster.roles[name].pid)
        assert process.cmdline()[-2:] == ["--service", role]
        listening = {
            c.laddr.port
            for c in process.net_connections(kind="tcp")
            if c.status == psutil.CONN_LISTEN
        }
        ports = cluster.ports[name]
        assert {ports.calls.number, ports.membership.number} <= listening


@pytest.mark.parametrize("name", ["postgres", *ROLES])
async def test_a_killed_process_comes_back_at_its_ports_and_nothing_is_lost(
    name: str, cluster: TemporalCluster, client: Client
) -> None:
    handle = await client.start_workflow("Any", id=f"kept-{name}", task_queue="nobodys")
    before = cluster.processes[name].pid

    await cluster.processes[name].kill()
    await cluster.start_again(name)

    assert cluster.processes[name].pid != before
    again = await (await cluster.connect()).get_workflow_handle(handle.id).describe()
    assert again.id == f"kept-{name}"


async def test_all_at_once_come_back(cluster: TemporalCluster, client: Client) -> None:
    await client.start_workflow("Any", id="kept-by-all", task_queue="nobodys")
    for child in cluster.processes.values():
        child.send(signal.SIGKILL)
    await asyncio.gather(*(child.wait(10) for child in cluster.processes.values()))

    await cluster.start_again(*cluster.processes)

    again = await (await cluster.connect()).get_workflow_handle("kept-by-all").describe()
    assert again.id == "kept-by-all"


async def test_settings_of_the_stack_are_the_clusters(client: Client) -> None:
    with pytest.raises(RPCError, match="length exceeds limit"):
        await client.start_workflow("Any", id=TOO_LONG, task_queue="nobodys")


async def test_its_frontend_takes_other_settings_and_gives_them_back(
    cluster: TemporalCluster, client: Client
) -> None:
    await client.start_workflow("Any", id="limited", task_queue="nobodys")
    assert not await is_limited(client, "limited")

    await cluster.configure(LIMIT)
    assert await is_limited(await cluster.connect(), "limited")
    await cluster.configure({})
    assert not await is_limited(await cluster.connect(), "limited")


async def test_two_stacks_of_a_run_share_no_data(make_factory: MakeFactory, tmp_path: Path) -> None:
    """Each has a copy of the template, which has Temporal's schema and the namespace."""
    factory = make_factory("twins")
    (tmp_path / "other").mkdir()
    async with running(factory, tmp_path) as first:
        scratch = factory.scratch.with_name("twins-other")
        scratch.mkdir()
        journal = Journal(tmp_path / "other" / "journal.jsonl", lambda _: None)
        second = await factory.make(
            StackSpec(), ProcessFactory(factory.run_tag, scratch, tmp_path / "o", journal)
        )
        try:
            await second.start()
            await (await first.connect()).start_workflow("Any", id="mine", task_queue="nobodys")
            with pytest.raises(RPCError, match="not found"):
                await (await second.connect()).get_workflow_handle("mine").describe()
        finally:
            await second.discard()
            journal.close()
        assert first.namespace == second.namespace == NAMESPACE
