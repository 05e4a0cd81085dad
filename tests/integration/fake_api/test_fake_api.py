"""The stand-in as Google's real client sees it, and what its ledger says of each call."""

import asyncio
import resource
import socket
import subprocess
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from chaos.fake_api.control import FakeApi, FakeApiError
from chaos.fake_api.holds import HoldRequest, HoldState, HoldTarget
from chaos.fake_api.ledger import Answered, Billed, Call, Item, Outcome, Received, read_ledger
from chaos.fake_api.media import sha256_hex
from chaos.fake_api.rules import FaultKind, FaultRule, When
from chaos.fake_api.settings import LatencyChange
from chaos.waiting import wait_until
from tests.integration.fake_api.stand_in import (
    DEADLINE_SECONDS,
    KEY,
    Service,
    argv,
    environment,
    google_client,
)

IMAGE_MODEL = "gemini-image"
VIDEO_MODEL = "veo-fast"
PROMPT = "a fox in the snow"
REFERENCE = b"the bytes of a reference image"


async def make_image(google: AsyncClient, prompt: str = PROMPT) -> types.GenerateContentResponse:
    return await google.models.generate_content(model=IMAGE_MODEL, contents=prompt)


def image_bytes(reply: types.GenerateContentResponse) -> bytes:
    assert reply.parts is not None
    blob = reply.parts[0].inline_data
    assert blob is not None
    assert blob.data is not None
    assert blob.mime_type == "image/png"
    return blob.data


async def start_video(google: AsyncClient, prompt: str = PROMPT) -> str:
    source = types.GenerateVideosSource(
        prompt=prompt, image=types.Image(image_bytes=REFERENCE, mime_type="image/png")
    )
    operation = await google.models.generate_videos(model=VIDEO_MODEL, source=source)
    assert operation.name is not None
    return operation.name


async def poll(google: AsyncClient, name: str) -> types.GenerateVideosOperation:
    operation = await google.operations.get(types.GenerateVideosOperation(name=name))
    assert isinstance(operation, types.GenerateVideosOperation)
    return operation


async def finished(google: AsyncClient, name: str) -> types.GenerateVideosOperation:
    async def done() -> bool:
        return bool((await poll(google, name)).done)

    await wait_until(done, what=f"{name} is done", deadline_seconds=DEADLINE_SECONDS)
    return await poll(google, name)


def video_of(operation: types.GenerateVideosOperation) -> types.Video:
    assert operation.response is not None
    assert operation.response.generated_videos
    video = operation.response.generated_videos[0].video
    assert video is not None
    return video


async def download(google: AsyncClient, video: types.Video) -> bytes:
    # A copy: the client keeps the bytes in the object it is given.
    content = await google.files.download(file=types.Video(uri=video.uri))
    assert isinstance(content, bytes)
    return content


async def rendered_video(google: AsyncClient, prompt: str = PROMPT) -> tuple[str, types.Video]:
    name = await start_video(google, prompt)
    return name, video_of(await finished(google, name))


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

    async def test_two_images_of_one_prompt_differ(self, google: AsyncClient) -> None:
        first, second = await asyncio.gather(make_image(google), make_image(google))
        assert image_bytes(first) != image_bytes(second)

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
        last = (await service.control.ledger())[-1]
        assert isinstance(last, Answered)
        assert last.sha256 == bill.sha256

    async def test_a_video_needs_no_reference_image(
        self, service: Service, google: AsyncClient
    ) -> None:
        source = types.GenerateVideosSource(prompt=PROMPT)
        await google.models.generate_videos(model=VIDEO_MODEL, source=source)
        assert service.receipts()[0].image_sha256 is None
        assert len(service.bills()) == 1

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

    async def test_a_long_body_is_read_and_its_client_is_still_watched(
        self, service: Service
    ) -> None:
        """Uvicorn stops reading after a body above 64 KiB, and would not see the client go."""
        hold = await service.control.hold(HoldRequest(call=HoldTarget.VIDEO_START))
        async with google_client(service.url) as google:
            image = types.Image(image_bytes=bytes(300_000), mime_type="image/png")
            source = types.GenerateVideosSource(prompt=PROMPT, image=image)
            call = asyncio.create_task(
                google.models.generate_videos(model=VIDEO_MODEL, source=source)
            )
            await hold.caught(DEADLINE_SECONDS)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

        async def gone() -> bool:
            return (await hold.status()).client_connected is False

        await wait_until(gone, what="the loss is seen", deadline_seconds=DEADLINE_SECONDS)
        assert service.receipts()[0].image_sha256 == sha256_hex(bytes(300_000))


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
        assert wrong_key not in service.process.ledger_path.read_text()

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
        assert [(await service.answer(number)).kind for number in (0, 1)] == ["not_found"] * 2

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

    async def test_a_refused_request_uses_no_rule_up(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.add_rule(FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS))
        with pytest.raises(errors.ClientError):
            await make_image(google, " ")
        assert [status.hits for status in await service.control.rules()] == [0]


URI = "https://generativelanguage.googleapis.com/v1beta/files/none:download?alt=media"
CALLS: dict[Call, Callable[[AsyncClient, str, types.Video], Awaitable[object]]] = {
    Call.IMAGE: lambda google, _name, _video: make_image(google),
    Call.VIDEO_START: lambda google, _name, _video: start_video(google),
    Call.POLL: lambda google, name, _video: poll(google, name),
    Call.DOWNLOAD: lambda google, _name, video: download(google, video),
}
WHENS = (When.BEFORE_BILLING, When.AFTER_BILLING)
# What the client raises; None where it takes a broken reply for a good one.
SEEN: dict[FaultKind, type[Exception] | None] = {
    FaultKind.STATUS: errors.ServerError,
    FaultKind.RESET: httpx.ReadError,
    FaultKind.RESET_BODY: httpx.ReadError,
    FaultKind.TRUNCATED: httpx.RemoteProtocolError,
    FaultKind.MALFORMED: ValueError,
    FaultKind.EMPTY: None,
    FaultKind.HTML: ValueError,
}
STATUSES = {FaultKind.STATUS: 503, FaultKind.RESET: None}


class TestFaults:
    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("kind", SEEN)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_fault_spoils_one_reply_and_the_bill_is_as_planned(
        self, service: Service, google: AsyncClient, call: Call, kind: FaultKind, when: When
    ) -> None:
        name, video = await rendered_video(google)
        await service.control.ledger()
        before = service.records()
        await service.control.add_rule(FaultRule(call=call, kind=kind, when=when, match="fox"))
        await self._check_what_the_client_sees(google, call, kind, name, video)
        received, *bills, answer = (await service.control.ledger())[len(before) :]
        assert isinstance(received, Received)
        assert received.call is call
        paid = call in {Call.IMAGE, Call.VIDEO_START} and when is When.AFTER_BILLING
        assert [bill.event for bill in bills] == ["billed"] * paid
        assert isinstance(answer, Answered)
        assert (answer.kind, answer.status, answer.sha256) == (
            kind.value,
            STATUSES.get(kind, 200),
            None,
        )
        assert answer.client_connected
        await CALLS[call](google, name, video)
        assert [status.hits for status in await service.control.rules()] == [1]

    async def _check_what_the_client_sees(
        self, google: AsyncClient, call: Call, kind: FaultKind, name: str, video: types.Video
    ) -> None:
        seen = SEEN[kind]
        if seen is None:
            await CALLS[call](google, name, video)
        elif call is Call.DOWNLOAD and seen is ValueError:
            # A download is not parsed: the wrong bytes pass for a video.
            assert b"ftyp" not in await download(google, video)
        else:
            with pytest.raises(seen):
                await CALLS[call](google, name, video)

    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_hang_lasts_until_the_client_leaves(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        name, video = await rendered_video(google)
        before = await service.control.ledger()
        await service.control.add_rule(FaultRule(call=call, kind=FaultKind.HANG, when=when))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await CALLS[call](google, name, video)
        answers = sum(isinstance(record, Answered) for record in before)
        answer = await service.answer(answers)
        assert (answer.kind, answer.status, answer.client_connected) == ("hang", None, False)
        paid = call in {Call.IMAGE, Call.VIDEO_START} and when is When.AFTER_BILLING
        assert len(service.bills()) == 1 + paid

    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_delayed_call_takes_longer_and_is_as_good(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        name, video = await rendered_video(google)
        delay = FaultRule(call=call, kind=FaultKind.DELAY, when=when, delay_seconds=0.15)
        await service.control.add_rule(delay)
        began = asyncio.get_running_loop().time()
        await CALLS[call](google, name, video)
        assert asyncio.get_running_loop().time() - began >= 0.15
        last = (await service.control.ledger())[-1]
        assert isinstance(last, Answered)
        assert last.kind == "ok"

    async def test_an_error_status_can_ask_for_a_later_retry(
        self, service: Service, google: AsyncClient
    ) -> None:
        rule = FaultRule(
            call=Call.IMAGE, kind=FaultKind.STATUS, status=429, retry_delay_seconds=2.5
        )
        await service.control.add_rule(rule)
        with pytest.raises(errors.ClientError) as caught:
            await make_image(google)
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
        assert "'retryDelay': '2.5s'" in str(caught.value)

    async def test_an_error_status_can_have_a_body_of_its_own(
        self, service: Service, google: AsyncClient
    ) -> None:
        body = {"error": {"code": 400, "message": "my own", "status": "FAILED_PRECONDITION"}}
        rule = FaultRule.model_validate(
            {"call": "image", "kind": "status", "status": 400, "body": body}
        )
        await service.control.add_rule(rule)
        with pytest.raises(errors.ClientError, match="my own"):
            await make_image(google)

    @pytest.mark.parametrize("when", WHENS)
    async def test_a_filtered_image_has_no_parts(
        self, service: Service, google: AsyncClient, when: When
    ) -> None:
        rule = FaultRule(call=Call.IMAGE, kind=FaultKind.RAI_FILTERED, when=when)
        await service.control.add_rule(rule)
        reply = await make_image(google)
        assert reply.candidates is not None
        assert reply.candidates[0].finish_reason is types.FinishReason.IMAGE_SAFETY
        assert reply.parts is None
        assert (await service.answer()).kind == "rai_filtered"
        assert len(service.bills()) == (when is When.AFTER_BILLING)

    @pytest.mark.parametrize("restart", [False, True])
    async def test_a_filtered_video_ends_without_samples_and_costs_nothing(
        self, own: Service, own_google: AsyncClient, restart: bool
    ) -> None:
        rule = FaultRule(call=Call.VIDEO_START, kind=FaultKind.RAI_FILTERED)
        await own.control.add_rule(rule)
        name = await start_video(own_google)
        if restart:
            own.process.kill()
            own.process.start()
        operation = await finished(own_google, name)
        assert operation.response is not None
        assert operation.response.rai_media_filtered_count == 1
        assert operation.response.generated_videos is None
        (bill,) = own.bills()
        assert (bill.outcome, bill.amount_usd, bill.sha256) == (Outcome.FILTERED, 0, None)
        assert (await own.answer()).kind == ("ok" if restart else "rai_filtered")

    @pytest.mark.parametrize("restart", [False, True])
    async def test_a_failed_operation_ends_in_an_error_and_costs_nothing(
        self, own: Service, own_google: AsyncClient, restart: bool
    ) -> None:
        rule = FaultRule(call=Call.VIDEO_START, kind=FaultKind.FAILED_OPERATION)
        await own.control.add_rule(rule)
        name = await start_video(own_google)
        if restart:
            own.process.kill()
            own.process.start()
        operation = await finished(own_google, name)
        assert operation.error is not None
        assert operation.error["code"] == 13
        assert operation.response is None
        (bill,) = own.bills()
        assert (bill.outcome, bill.amount_usd, bill.file) == (Outcome.FAILED, 0, None)

    async def test_faults_before_and_after_billing_can_meet_in_one_request(
        self, service: Service, google: AsyncClient
    ) -> None:
        control = service.control
        await control.add_rule(FaultRule(call=Call.IMAGE, kind=FaultKind.DELAY, delay_seconds=0.01))
        await control.add_rule(
            FaultRule(call=Call.IMAGE, kind=FaultKind.RESET, when=When.AFTER_BILLING)
        )
        with pytest.raises(httpx.ReadError):
            await make_image(google)
        assert [status.hits for status in await control.rules()] == [1, 1]
        assert len(service.bills()) == 1

    async def test_rules_can_be_lifted_one_by_one_and_all(
        self, service: Service, google: AsyncClient
    ) -> None:
        control = service.control
        rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, times=None)
        first, _ = [await control.add_rule(rule) for _ in range(2)]
        await control.remove_rule(first)
        with pytest.raises(errors.ServerError):
            await make_image(google)
        await control.clear_rules()
        image_bytes(await make_image(google))
        with pytest.raises(FakeApiError, match="no rule"):
            await control.remove_rule(first)

    async def test_an_impossible_rule_is_refused_in_one_sentence(self, service: Service) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{service.url}/control/rules", json={"call": "poll", "kind": "failed_operation"}
            )
        assert answer.status_code == 422
        assert answer.json() == {"error": "Only a video_start can lead to a failed_operation."}


class TestHolds:
    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_held_request_goes_on_when_it_is_released(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        name, video = await rendered_video(google)
        bills = len(service.bills())
        hold = await service.control.hold(HoldRequest(call=HoldTarget(call.value), when=when))
        held = asyncio.create_task(_awaited(CALLS[call](google, name, video)))
        status = await hold.caught(DEADLINE_SECONDS)
        assert (status.state, status.client_connected) == (HoldState.HOLDING, True)
        assert status.request_id == service.receipts()[-1].request_id
        costs = call in {Call.IMAGE, Call.VIDEO_START}
        assert len(service.bills()) == bills + (costs and when is When.AFTER_BILLING)
        if call is Call.VIDEO_START and when is When.AFTER_BILLING:
            assert status.operation == service.bills()[-1].operation
        elif call in {Call.POLL, Call.DOWNLOAD}:
            assert status.operation == name
        assert not held.done()
        await hold.release()
        await held
        assert len(service.bills()) == bills + costs
        assert (await hold.status()).state is HoldState.RELEASED

    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", [Call.IMAGE, Call.VIDEO_START])
    async def test_a_client_that_leaves_is_billed_all_the_same(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        hold = await service.control.hold(HoldRequest(call=HoldTarget(call.value), when=when))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await CALLS[call](google, "", types.Video())

        async def gone() -> bool:
            return (await hold.status()).client_connected is False

        await wait_until(gone, what="the loss is seen", deadline_seconds=DEADLINE_SECONDS)
        await hold.release()
        answer = await service.answer()
        assert (answer.kind, answer.client_connected) == ("ok", False)
        assert len(service.bills()) == 1

    async def test_a_client_that_leaves_in_the_middle_of_the_work_is_billed(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(image_seconds=0.3))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await make_image(google)
        assert not (await service.answer()).client_connected
        assert len(service.bills()) == 1

    async def test_a_held_rendering_is_not_done_until_its_release(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        hold = await service.control.hold(HoldRequest(call=HoldTarget.VIDEO, match="fox"))
        cat, fox = await start_video(google, "a cat"), await start_video(google)
        assert (await hold.caught(DEADLINE_SECONDS)).operation == fox
        assert (await poll(google, cat)).done
        assert not (await poll(google, fox)).done
        await hold.release()
        assert (await poll(google, fox)).done

    async def test_a_rendering_under_way_can_be_held(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=3600))
        name = await start_video(google)
        hold = await service.control.hold(HoldRequest(call=HoldTarget.VIDEO))
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        assert (await hold.status()).operation == name
        assert not (await poll(google, name)).done
        await service.control.release_holds()
        assert (await poll(google, name)).done

    async def test_a_hold_that_catches_nothing_says_so(self, service: Service) -> None:
        hold = await service.control.hold(HoldRequest(call=HoldTarget.IMAGE, match="fox"))
        with pytest.raises(TimeoutError, match="No image with 'fox' in its prompt"):
            await hold.caught(deadline_seconds=0.05)


async def _awaited(call: Awaitable[object]) -> None:
    await call


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
        last = (await own.control.ledger())[-1]
        assert isinstance(last, Answered)
        assert last.sha256 == own.bills()[0].sha256 == sha256_hex(before)

    async def test_a_held_rendering_ends_by_its_recorded_start_after_a_kill(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        await own.control.hold(HoldRequest(call=HoldTarget.VIDEO))
        name = await start_video(own_google)
        own.process.kill()
        own.process.start("--video-seconds", "0")
        assert (await poll(own_google, name)).done

    async def test_a_video_still_takes_its_time_after_a_kill(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        name = await start_video(own_google)
        own.process.kill()
        own.process.start("--video-seconds", "3600")
        assert not (await poll(own_google, name)).done

    async def test_a_torn_last_line_is_cut_off_at_the_start(
        self, own: Service, own_google: AsyncClient
    ) -> None:
        name = await start_video(own_google)
        await own.answer()
        own.process.kill()
        whole = own.records()
        with own.process.ledger_path.open("ab") as ledger:
            ledger.write(b'{"event":"billed","at":"2026')
        own.process.start()
        await poll(own_google, name)
        after = await own.control.ledger()
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
            if not isinstance(reply, Exception | BaseException)
        ]
        assert got
        assert set(got) <= {bill.sha256 for bill in own.bills()}

    @pytest.mark.parametrize("busy", ["idle", "held", "hanging"])
    async def test_it_ends_at_once_when_asked_to(
        self, own: Service, own_google: AsyncClient, busy: str
    ) -> None:
        call = None
        if busy != "idle":
            hang = FaultRule(call=Call.IMAGE, kind=FaultKind.HANG, when=When.AFTER_BILLING)
            await own.control.add_rule(hang)
            hold = await own.control.hold(HoldRequest(call=HoldTarget.IMAGE))
            call = asyncio.create_task(make_image(own_google))
            await hold.caught(DEADLINE_SECONDS)
            if busy == "hanging":
                await hold.release()
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
        size = own.process.ledger_path.stat().st_size
        resource.prlimit(own.process.child.pid, resource.RLIMIT_FSIZE, (size + 10, size + 10))
        with pytest.raises(errors.ServerError) as caught:
            await make_image(own_google)
        assert caught.value.code == 500
        assert own.process.child
        assert own.process.child.wait(timeout=DEADLINE_SECONDS) == 1
        assert read_ledger(own.process.ledger_path) == known
        said = own.process.stderr_path.read_text()
        assert "cannot be written (File too large)" in said
        assert said.count("\n") == 1


class TestControl:
    async def test_latencies_change_one_by_one(self, service: Service) -> None:
        before = await service.control.latencies()
        after = await service.control.set_latencies(LatencyChange(poll_seconds=0.25))
        assert after == before.model_copy(update={"poll_seconds": 0.25})
        assert await service.control.latencies() == after

    async def test_a_negative_latency_is_refused(self, service: Service) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.put(f"{service.url}/control/latencies", json={"poll_seconds": -1})
        assert answer.status_code == 422
        assert "poll_seconds" in answer.json()["error"]

    async def test_the_ledger_over_http_is_the_file(
        self, service: Service, google: AsyncClient
    ) -> None:
        await rendered_video(google)
        assert await service.control.ledger() == service.records()

    async def test_health_is_false_where_nothing_answers(self, own: Service) -> None:
        own.process.kill()
        async with FakeApi(own.url) as control:
            assert not await control.health()

    async def test_the_key_stands_nowhere(self, own: Service, own_google: AsyncClient) -> None:
        await rendered_video(own_google)
        await own.control.add_rule(FaultRule(call=Call.IMAGE, kind=FaultKind.RESET))
        with pytest.raises(httpx.ReadError):
            await make_image(own_google)
        assert own.process.end() == 0
        written = (own.process.ledger_path, own.process.stdout_path, own.process.stderr_path)
        assert [KEY in path.read_text() for path in written] == [False] * 3
        assert [path.read_text() for path in written[1:]] == ["", ""]
        command_line = " ".join(argv("--port", "1"))
        assert KEY not in command_line


def run(*options: str, key: str | None = KEY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own module
        argv(*options),
        env=environment(key),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


class TestCommandLine:
    def assert_explained(self, result: subprocess.CompletedProcess[str], sentence: str) -> None:
        assert result.returncode == 2
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
        assert KEY not in result.stderr

    @pytest.mark.parametrize("key", [None, "", " "])
    def test_a_missing_key_is_explained(self, tmp_path: Path, key: str | None) -> None:
        result = run("--port", "1", "--ledger", str(tmp_path / "ledger"), key=key)
        self.assert_explained(result, "set FAKE_API_KEY in the environment")

    def test_an_occupied_port_is_explained(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as occupant:
            port = str(occupant.getsockname()[1])
            result = run("--port", port, "--ledger", str(tmp_path / "ledger"))
        self.assert_explained(result, f"Port {port} on 127.0.0.1 cannot be used")

    def test_a_ledger_that_cannot_be_written_is_explained(self, tmp_path: Path) -> None:
        result = run("--port", "1", "--ledger", str(tmp_path / "none" / "ledger"))
        self.assert_explained(result, "cannot be opened for writing")

    def test_a_damaged_ledger_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "ledger").write_text("not a record\n")
        result = run("--port", "1", "--ledger", str(tmp_path / "ledger"))
        self.assert_explained(result, "Line 1 of the ledger")

    async def test_a_ledger_in_use_is_explained(self, service: Service) -> None:
        command = ("--port", "1", "--ledger", str(service.process.ledger_path))
        self.assert_explained(await asyncio.to_thread(run, *command), "another running process")

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (("--prot", "1"), "--prot"),
            (("--image-seconds", "-1"), "--image-seconds"),
            (("--video-seconds", "soon"), "--video-seconds"),
            (("--video-usd", "much"), "--video-usd"),
            (("--image-usd", "NaN"), "--image-usd"),
            (("--port", "99999"), "Port 99999"),
        ],
    )
    def test_a_bad_option_is_explained(
        self, tmp_path: Path, options: tuple[str, ...], sentence: str
    ) -> None:
        result = run("--port", "1", "--ledger", str(tmp_path / "ledger"), *options)
        self.assert_explained(result, sentence)
