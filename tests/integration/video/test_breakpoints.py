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
    async def test_a_stopped_request_goes_on_when_it_is_resumed(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        name, video = await made_before(service, google)
        point = await service.control.set_breakpoint(
            BreakpointSpec(call=BreakAt(call.value), when=when)
        )
        stopped = begin(CALLS[call](google, name, video))
        status = await point.reached(DEADLINE_SECONDS)
        assert (status.state, status.client_connected) == (BreakpointState.REACHED, True)
        assert status.request_id == service.receipts()[-1].request_id
        costs = call in {Call.IMAGE, Call.VIDEO_START}
        assert len(service.bills()) == (costs and when is When.AFTER_BILLING)
        if call is Call.VIDEO_START and when is When.AFTER_BILLING:
            assert status.operation == service.bills()[-1].operation
        elif call in {Call.POLL, Call.DOWNLOAD}:
            assert status.operation == name
        assert not stopped.done()
        await point.resume()
        await stopped
        assert len(service.bills()) == costs
        assert (await point.status()).state is BreakpointState.RESUMED

    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", [Call.IMAGE, Call.VIDEO_START])
    async def test_a_client_that_leaves_is_billed_all_the_same(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        point = await service.control.set_breakpoint(
            BreakpointSpec(call=BreakAt(call.value), when=when)
        )
        stopped = begin(CALLS[call](google, "", types.Video()))
        await point.reached(DEADLINE_SECONDS)
        await abandon(stopped)

        async def gone() -> bool:
            return (await point.status()).client_connected is False

        await wait_until(gone, what="the loss is seen", deadline_seconds=DEADLINE_SECONDS)
        await point.resume()
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

    async def test_a_stopped_rendering_is_not_done_until_it_is_resumed(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        point = await service.control.set_breakpoint(
            BreakpointSpec(call=BreakAt.VIDEO, match="fox")
        )
        cat, fox = await start_video(google, "a cat"), await start_video(google)
        assert (await point.reached(DEADLINE_SECONDS)).operation == fox
        assert (await poll(google, cat)).done
        assert not (await poll(google, fox)).done
        await point.resume()
        assert (await poll(google, fox)).done

    async def test_a_breakpoint_that_is_not_reached_says_so(self, service: Service) -> None:
        point = await service.control.set_breakpoint(
            BreakpointSpec(call=BreakAt.IMAGE, match="fox")
        )
        with pytest.raises(TimeoutError, match="the image with 'fox' in its prompt is stopped"):
            await point.reached(deadline_seconds=0.05)
