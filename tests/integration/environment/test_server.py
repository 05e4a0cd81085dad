"""A dev server is given other settings while a case runs."""

from __future__ import annotations

from pathlib import Path

from chaos.process.reaper import Reaper
from tests.integration.environment.limited import LIMIT, is_limited
from tests.integration.wire.bed import bed_in, start_server


async def test_it_takes_settings_and_gives_them_back_and_keeps_its_workflows(
    reaper: Reaper, temporal_cli: Path, tmp_path: Path
) -> None:
    async with bed_in(tmp_path, reaper.run_tag) as bed:
        server = await start_server(bed, temporal_cli, persistent=True)
        client = await server.connect()
        await client.start_workflow("Any", id="kept", task_queue="nobodys")
        plain = tuple(server.child.argv)
        assert not await is_limited(await server.connect(), "kept")

        await server.configure(LIMIT)
        assert await is_limited(await server.connect(), "kept")
        await server.configure({})

        assert tuple(server.child.argv) == plain
        assert not await is_limited(await server.connect(), "kept")
