"""What outlives the process, and how it ends."""

import asyncio
import resource

import httpx
import pytest
from google.genai import errors
from google.genai.client import AsyncClient

from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Answered, Call, read_bills
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.media import sha256_hex
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.integration.video.calls import (
    download,
    image_bytes,
    make_image,
    poll,
    rendered_video,
    start_video,
    video_of,
)
from tests.integration.video.stand_in import (
    DEADLINE_SECONDS,
    Service,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestRestarts:
    async def test_operations_and_files_survive_a_kill(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        name, video = await rendered_video(own_google)
        before = await download(own_google, video)
        own.process.kill()
        own.process.start()
        again = video_of(await poll(own_google, name))
        assert again.uri == video.uri
        assert await download(own_google, again) == before
        last = (await own.settled())[-1]
        assert isinstance(last, Answered)
        assert last.sha256 == own.bills()[0].sha256 == sha256_hex(before)

    async def test_a_stopped_rendering_ends_by_its_recorded_start_after_a_kill(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        await own.control.set_breakpoint(BreakpointSpec(call=BreakAt.VIDEO))
        name = await start_video(own_google)
        own.process.kill()
        own.process.start("--video-seconds", "0")
        assert (await poll(own_google, name)).done

    async def test_a_torn_last_line_is_cut_off_at_the_start(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        name = await start_video(own_google)
        await own.answer()
        own.process.kill()
        whole = own.records()
        with own.process.bills_path.open("ab") as bills:
            bills.write(b'{"event":"billed","at":"2026')
        own.process.start()
        await poll(own_google, name)
        after = await own.settled()
        assert after[: len(whole)] == whole
        assert len(after) == len(whole) + 2

    async def test_a_kill_in_the_middle_of_work_leaves_every_reply_billed(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        calls = [asyncio.create_task(make_image(own_google, f"fox {n}")) for n in range(60)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        own.process.kill()
        replies = await asyncio.gather(*calls, return_exceptions=True)
        got = [
            sha256_hex(image_bytes(reply))
            for reply in replies
            if not isinstance(reply, BaseException)
        ]
        assert got
        assert set(got) <= {bill.sha256 for bill in own.bills()}

    @pytest.mark.parametrize("busy", ["idle", "stopped", "hanging"])
    async def test_it_ends_at_once_when_asked_to(
        self, own: Service, own_google: AsyncClient, busy: str
    ) -> None:
        call = None
        if busy != "idle":
            hang = FaultRule(call=Call.IMAGE, kind=FaultKind.HANG, when=When.AFTER_BILLING)
            await own.control.add_rule(hang)
            point = await own.control.set_breakpoint(BreakpointSpec(call=BreakAt.IMAGE))
            call = asyncio.create_task(make_image(own_google))
            await point.reached(DEADLINE_SECONDS)
            if busy == "hanging":
                await point.resume()
                await wait_until(
                    lambda: bool(own.bills()), what="billed", deadline_seconds=DEADLINE_SECONDS
                )
        began = asyncio.get_running_loop().time()
        assert own.process.end() == 0
        assert asyncio.get_running_loop().time() - began < 1
        if call is not None:
            with pytest.raises(httpx.TransportError):
                await call
        assert own.process.stderr_path.read_text() == ""

    async def test_it_stops_rather_than_bill_unrecorded(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        image_bytes(await make_image(own_google))
        await own.answer()
        known = own.records()
        size = own.process.bills_path.stat().st_size
        resource.prlimit(own.process.child.pid, resource.RLIMIT_FSIZE, (size + 10, size + 10))
        with pytest.raises(errors.ServerError) as caught:
            await make_image(own_google)
        assert caught.value.code == 500
        assert own.process.child.wait(timeout=DEADLINE_SECONDS) == 1
        assert read_bills(own.process.bills_path) == known
        said = own.process.stderr_path.read_text()
        assert "cannot be written (File too large)" in said
        assert said.count("\n") == 1
