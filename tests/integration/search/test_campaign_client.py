"""The client of a campaign and its commands, on a real server, with stand-ins of its activities."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from chaos.__main__ import main
from chaos.environment.external import Connection
from chaos.environment.server import TemporalServer
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from chaos.search.campaign import names
from chaos.search.campaign.client import Control, ControlError
from chaos.search.campaign.code import code_of
from chaos.search.campaign.model import Campaign, Explore, Seeds, State
from chaos.search.campaign.store import Store
from tests.integration.search.stand_ins import StandIns, campaign_of
from tests.integration.wire.bed import bed_in, start_server

PROJECT = Path(__file__).parents[3]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    reaper: Reaper, temporal_cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TemporalServer]:
    async with bed_in(tmp_path_factory.mktemp("control"), reaper.run_tag) as bed:
        yield await start_server(bed, temporal_cli, persistent=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def control(server: TemporalServer) -> Control:
    return await Control.connect(server.address)


async def test_it_waits_for_machines_and_for_a_server_that_restarts(
    server: TemporalServer, control: Control, tmp_path: Path
) -> None:
    asked, town = campaign_of(Seeds()), StandIns(cases=20)
    store, lines = Store.open(str(tmp_path)), list[str]()
    campaign = await control.start(
        lambda each: asked.model_copy(update={"campaign_id": each}),
        lambda each: Store.open(str(tmp_path), each),
    )
    assert store.campaigns() == [campaign.campaign_id]
    following = asyncio.create_task(control.follow(campaign, lines.append))
    await wait_until(lambda: bool(lines), what="it says so", deadline_seconds=20)
    (said,) = lines
    assert f"run temporal-chaos worker --on {server.address} --queue {campaign.queue} in a" in said

    async with town.polling(control.client, campaign):
        await town.until_begun(16)
        await server.child.kill()
        await wait_until(
            lambda: "does not answer" in lines[-1], what="it says so", deadline_seconds=20
        )
        await server.start()
        town.going.set()
        ended = await following

    assert ended.judged == 20
    assert [line for line in lines if "does not answer" in line] == [lines[1]]
    told = [line.split()[1].rstrip(":") for line in lines[2:]]
    assert sorted(told) == sorted(town.began), "each once"
    assert [line.split()[0] for line in lines[2:]] == [f"{n}/20" for n in range(1, 21)]


async def test_what_is_not_there_is_told(control: Control) -> None:
    with pytest.raises(ControlError, match="has no campaign 'campaign-1'"):
        await control.tell("campaign-1", names.STOP)
    with pytest.raises(ControlError, match="has no campaign"):
        await control.follow(campaign_of(Seeds()), print)

    await control.client.start_workflow("Order", id="order-7", task_queue="orders")
    with pytest.raises(ControlError, match="'order-7' is a workflow, but no campaign"):
        await control.tell("order-7", names.STOP)


async def test_a_server_that_dies_between_two_connections_is_missed_by_none(
    server: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at is what is used."""
    connect, connected = Connection.connect, []

    async def once(connection: Connection) -> Client:
        connected.append(connection)
        if len(connected) > 1:
            raise RuntimeError("Connection refused")
        return await connect(connection)

    monkeypatch.setattr(Connection, "connect", once)

    assert await (await Control.connect(server.address)).campaigns() is not None


async def test_the_commands_start_one_and_steer_it(
    control: Control, server: TemporalServer, orders: Path, tmp_path: Path
) -> None:
    """Its command is ended by Ctrl-C, and the campaign goes on."""
    queue = Campaign.model_validate(
        {**campaign_of(Explore(specs=("order",))).model_dump(), "code": code_of(orders)}
    )
    town = StandIns(cases=6)
    on, evidence = f"--on={server.address}", str(tmp_path / "evidence")
    async with (
        town.polling(control.client, queue),
        _running(
            orders,
            *("explore", "--workflow=order", "--times=3", on),
            *(f"--evidence={evidence}", f"--queue={queue.queue}"),
        ) as command,
    ):
        await town.until_begun(6)
        (campaign_id,) = Store.open(evidence).campaigns()
        campaign, _ = await control.describe(campaign_id)
        assert campaign.work == Explore(specs=("order",), times=3)
        assert campaign.target == "tests.shop:SHOP", "what a report names, to repeat a point"

        assert await _chaos("campaign", "pause", campaign_id, on) == 0
        assert (await control.progress(campaign)).state is State.PAUSED
        assert await _chaos("campaign", "budget", campaign_id, "600", on) == 0
        assert await _chaos("campaign", "resume", campaign_id, on) == 0
        assert 599 < ((await control.progress(campaign)).minutes_left or 0) <= 600

        command.send_signal(signal.SIGINT)
        _, said = await command.communicate()
        assert (command.returncode, b"Traceback" in said) == (130, False)
        assert f"campaign stop {campaign_id} --on {server.address} stops it".encode() in said
        assert (await control.progress(campaign)).state is State.RUNNING

        assert await _chaos("campaign", "stop", campaign_id, on) == 0
        ended = await control.follow(campaign, print)
        assert (ended.judged, len(ended.never)) == (0, 6)
        assert await _chaos("campaign", "stop", campaign_id, on) == 2
        assert campaign_id in [each.id for each in await control.campaigns()]


async def test_a_plan_that_cannot_be_made_is_a_sentence_of_the_command(
    control: Control, server: TemporalServer, orders: Path, tmp_path: Path
) -> None:
    asked = campaign_of(Explore(specs=("order",))).model_copy(update={"code": code_of(orders)})
    town = StandIns(cases=6, wrong_plan="no run without faults ends.")
    evidence = str(tmp_path / "evidence")
    async with (
        town.polling(control.client, asked),
        _running(
            orders,
            *("explore", "--workflow=order", f"--on={server.address}"),
            *(f"--evidence={evidence}", f"--queue={asked.queue}"),
        ) as command,
    ):
        _, said = await command.communicate()

    (campaign_id,) = Store.open(evidence).campaigns()
    assert command.returncode == 2
    assert said.decode().splitlines() == [
        f"what it found so far: temporal-chaos campaign report {evidence}/{campaign_id}",
        "no run without faults ends.",
    ]


@asynccontextmanager
async def _running(folder: Path, *arguments: str) -> AsyncIterator[Process]:
    """A command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", *arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _chaos(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)
