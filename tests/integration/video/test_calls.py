"""What the client gets, and what its bills say of it, when nothing is broken on purpose."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import httpx
import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Answered, Billed, Call, Item, Outcome, Received
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.media import sha256_hex
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.video.calls import (
    CALLS,
    IMAGE_MODEL,
    PROMPT,
    REFERENCE,
    URI,
    VIDEO_MODEL,
    download,
    image_bytes,
    make_image,
    poll,
    rendered_video,
    start_video,
)
from tests.integration.video.stand_in import (
    DEADLINE_SECONDS,
    KEY,
    Service,
    google_client,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestCalls:
    async def test_an_image_is_received_billed_and_answered(
        self, service: Service, google: AsyncClient
    ) -> None:
        png = image_bytes(await make_image(google))
        await service.answer()
        received, billed, answered = service.records()
        assert isinstance(received, Received)
        assert (received.call, received.model, received.prompt, received.key_valid) == (
            Call.IMAGE,
            IMAGE_MODEL,
            PROMPT,
            True,
        )
        assert isinstance(billed, Billed)
        assert (billed.item, billed.model, billed.prompt, billed.amount_usd, billed.sha256) == (
            Item.IMAGE,
            IMAGE_MODEL,
            PROMPT,
            Decimal("0.039"),
            sha256_hex(png),
        )
        assert isinstance(answered, Answered)
        assert (answered.kind, answered.status, answered.client_connected, answered.sha256) == (
            "ok",
            200,
            True,
            sha256_hex(png),
        )
        assert {received.request_id} == {billed.request_id, answered.request_id}

    async def test_a_video_is_started_polled_and_downloaded(
        self, service: Service, google: AsyncClient
    ) -> None:
        name, video = await rendered_video(google)
        content = await download(google, video)
        (bill,) = service.bills()
        assert name.startswith(f"models/{VIDEO_MODEL}/operations/")
        assert (bill.item, bill.amount_usd, bill.operation, bill.outcome) == (
            Item.VIDEO,
            Decimal("1.20"),
            name,
            Outcome.OK,
        )
        assert bill.sha256 == sha256_hex(content)
        start, *polls, fetched = service.receipts()
        assert (start.call, start.image_sha256) == (Call.VIDEO_START, sha256_hex(REFERENCE))
        assert {(each.call, each.operation) for each in polls} == {(Call.POLL, name)}
        assert (fetched.call, fetched.file) == (Call.DOWNLOAD, bill.file)
        last = (await service.settled())[-1]
        assert isinstance(last, Answered)
        assert last.sha256 == bill.sha256

    async def test_a_video_is_not_done_before_its_time(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=3600))
        name = await start_video(google)
        assert not (await poll(google, name)).done
        file = service.bills()[0].file
        with pytest.raises(errors.ClientError) as caught:
            await google.files.download(file=f"files/{file}")
        assert caught.value.code == 404
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        assert (await poll(google, name)).done

    async def test_many_calls_at_once_are_each_billed_once(
        self, service: Service, google: AsyncClient
    ) -> None:
        await asyncio.gather(*(make_image(google, f"fox {number}") for number in range(40)))
        assert {f"fox {number}" for number in range(40)} == {
            bill.prompt for bill in service.bills()
        }
        assert len(service.bills()) == 40

    @pytest.mark.parametrize("size_bytes", [60_000, 80_000, 180_000])
    async def test_a_long_body_is_read_and_its_client_is_still_watched(
        self, service: Service, size_bytes: int
    ) -> None:
        """Uvicorn stops reading after a body above 64 KiB, and would not see the client go."""
        point = await service.control.set_breakpoint(BreakpointSpec(call=BreakAt.VIDEO_START))
        async with google_client(service.url) as google:
            image = types.Image(image_bytes=bytes(size_bytes), mime_type="image/png")
            source = types.GenerateVideosSource(prompt=PROMPT, image=image)
            call = asyncio.create_task(
                google.models.generate_videos(model=VIDEO_MODEL, source=source)
            )
            await point.reached(DEADLINE_SECONDS)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

        async def gone() -> bool:
            return (await point.status()).client_connected is False

        await wait_until(gone, what="the loss is seen", deadline_seconds=DEADLINE_SECONDS)
        assert service.receipts()[0].image_sha256 == sha256_hex(bytes(size_bytes))


class TestRefusals:
    @pytest.mark.parametrize("call", [Call.IMAGE, Call.VIDEO_START, Call.POLL, Call.DOWNLOAD])
    async def test_a_wrong_key_is_refused_and_recorded_without_the_key(
        self, service: Service, call: Call
    ) -> None:
        wrong_key = "wrong-key-19c2"
        async with google_client(service.url, wrong_key) as google:
            with pytest.raises(errors.ClientError) as caught:
                await CALLS[call](google, "models/veo-fast/operations/x", types.Video(uri=URI))
        assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
        assert "API_KEY_INVALID" in str(caught.value)
        answer = await service.answer()
        assert (answer.kind, answer.status) == ("invalid_key", 400)
        assert [receipt.key_valid for receipt in service.receipts()] == [False]
        assert service.bills() == ()
        assert wrong_key not in service.process.bills_path.read_text()

    @pytest.mark.parametrize("start", [make_image, start_video])
    async def test_an_empty_prompt_is_refused(
        self,
        service: Service,
        google: AsyncClient,
        start: Callable[[AsyncClient, str], Awaitable[object]],
    ) -> None:
        with pytest.raises(errors.ClientError) as caught:
            await start(google, " ")
        assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
        assert (await service.answer()).kind == "invalid_request"
        assert service.bills() == ()

    async def test_a_blocked_image_prompt_gets_feedback_and_no_bill(
        self, service: Service, google: AsyncClient
    ) -> None:
        reply = await make_image(google, "a [blocked] fox")
        assert reply.candidates is None
        assert reply.prompt_feedback is not None
        assert reply.prompt_feedback.block_reason is types.BlockedReason.SAFETY
        assert reply.usage_metadata is not None
        assert reply.usage_metadata.candidates_token_count is None
        answer = await service.answer()
        assert (answer.kind, answer.status) == ("blocked", 200)
        assert service.bills() == ()

    async def test_a_blocked_video_prompt_is_refused(
        self, service: Service, google: AsyncClient
    ) -> None:
        with pytest.raises(errors.ClientError, match="safety") as caught:
            await start_video(google, "a [blocked] fox")
        assert caught.value.code == 400
        assert (await service.answer()).kind == "blocked"
        assert service.bills() == ()

    async def test_an_unknown_operation_and_file_are_not_found(
        self, service: Service, google: AsyncClient
    ) -> None:
        for call in (
            poll(google, f"models/{VIDEO_MODEL}/operations/none"),
            download(google, types.Video(uri=URI)),
        ):
            with pytest.raises(errors.ClientError) as caught:
                await call
            assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
        assert [answer.kind for answer in await service.answers(2)] == ["not_found"] * 2

    async def test_malformed_json_and_unknown_routes_get_googles_error(
        self, service: Service
    ) -> None:
        path = f"{service.url}/v1beta/models/m"
        async with httpx.AsyncClient(trust_env=False, headers={"x-goog-api-key": KEY}) as client:
            malformed = await client.post(f"{path}:generateContent", content=b"{")
            unknown = await client.post(f"{path}:countTokens")
        assert (malformed.status_code, malformed.json()["error"]["status"]) == (
            400,
            "INVALID_ARGUMENT",
        )
        assert (unknown.status_code, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")
        assert len(service.receipts()) == 1
