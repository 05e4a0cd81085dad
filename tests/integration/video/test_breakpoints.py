"""Requests and renderings stopped at a known point, and clients that leave meanwhile."""

import pytest
from google.genai import types
from google.genai.client import AsyncClient

from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec, BreakpointState
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.video.calls import (
    CALLS,
    WHENS,
    abandon,
    begin,
    made_before,
    make_image,
    poll,
    start_video,
)
from tests.integration.video.stand_in import (
    DEADLINE_SECONDS,
    Service,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestBreakpoints:
    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_held_request_goes_on_when_it_is_released(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        name, video = await made_before(service, google)
        hold = await service.control.set_breakpoint(
            BreakpointSpec(call=BreakAt(call.value), when=when)
        )
        held = begin(CALLS[call](google, name, video))
        status = await hold.reached(DEADLINE_SECONDS)
        assert (status.state, status.client_connected) == (BreakpointState.REACHED, True)
        assert status.request_id == service.receipts()[-1].request_id
        costs = call in {Call.IMAGE, Call.VIDEO_START}
        assert len(service.bills()) == (costs and when is When.AFTER_BILLING)
        if call is Call.VIDEO_START and when is When.AFTER_BILLING:
            assert status.operation == service.bills()[-1].operation
        elif call in {Call.POLL, Call.DOWNLOAD}:
            assert status.operation == name
        assert not held.done()
        await hold.resume()
        await held
        assert len(service.bills()) == costs
        assert (await hold.status()).state is BreakpointState.RESUMED

    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", [Call.IMAGE, Call.VIDEO_START])
    async def test_a_client_that_leaves_is_billed_all_the_same(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        hold = await service.control.set_breakpoint(
            BreakpointSpec(call=BreakAt(call.value), when=when)
        )
        held = begin(CALLS[call](google, "", types.Video()))
        await hold.reached(DEADLINE_SECONDS)
        await abandon(held)

        async def gone() -> bool:
            return (await hold.status()).client_connected is False

        await wait_until(gone, what="the loss is seen", deadline_seconds=DEADLINE_SECONDS)
        await hold.resume()
        answer = await service.answer()
        assert (answer.kind, answer.client_connected) == ("ok", False)
        assert len(service.bills()) == 1

    async def test_a_client_that_leaves_in_the_middle_of_the_work_is_billed(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(image_seconds=0.2))
        call = begin(make_image(google))
        await wait_until(
            lambda: bool(service.receipts()), what="received", deadline_seconds=DEADLINE_SECONDS
        )
        await abandon(call)
        assert not (await service.answer()).client_connected
        assert len(service.bills()) == 1

    async def test_a_held_rendering_is_not_done_until_its_release(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        hold = await service.control.set_breakpoint(BreakpointSpec(call=BreakAt.VIDEO, match="fox"))
        cat, fox = await start_video(google, "a cat"), await start_video(google)
        assert (await hold.reached(DEADLINE_SECONDS)).operation == fox
        assert (await poll(google, cat)).done
        assert not (await poll(google, fox)).done
        await hold.resume()
        assert (await poll(google, fox)).done

    async def test_a_rendering_under_way_can_be_held(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=3600))
        name = await start_video(google, "an owl under way")
        hold = await service.control.set_breakpoint(BreakpointSpec(call=BreakAt.VIDEO, match="owl"))
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        assert (await hold.status()).operation == name
        assert not (await poll(google, name)).done
        await service.control.resume_all()
        assert (await poll(google, name)).done

    async def test_a_breakpoint_that_is_not_reached_says_so(self, service: Service) -> None:
        hold = await service.control.set_breakpoint(BreakpointSpec(call=BreakAt.IMAGE, match="fox"))
        with pytest.raises(TimeoutError, match="the image with 'fox' in its prompt is stopped"):
            await hold.reached(deadline_seconds=0.05)
