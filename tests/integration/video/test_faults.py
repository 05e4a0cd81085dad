"""Each kind of fault on each call: what the client sees, and what it cost."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Answered, Call, Outcome, Received
from tests.chaos.video.fake_api.media import sha256_hex
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.video.calls import (
    CALLS,
    WHENS,
    abandon,
    begin,
    download,
    finished,
    made_before,
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

# What the client raises; None where it takes a broken reply for a good one.
SEEN: dict[FaultKind, type[Exception] | None] = {
    FaultKind.STATUS: errors.ServerError,
    FaultKind.RESET: httpx.ReadError,
    FaultKind.TRUNCATED: httpx.RemoteProtocolError,
    FaultKind.MALFORMED: ValueError,
    FaultKind.EMPTY: None,
    FaultKind.HTML: ValueError,
}
STATUSES = {FaultKind.STATUS: 503, FaultKind.RESET: None}


async def _ended_as(
    kind: FaultKind, own: Service, google: AsyncClient, *, restart: bool, **fields: Any
) -> types.GenerateVideosOperation:
    """A video whose making was planned to end so, with the stand-in killed meanwhile or not."""
    await own.control.add_rule(FaultRule(call=Call.VIDEO_START, kind=kind, **fields))
    name = await start_video(google)
    await own.answer()
    if restart:
        own.process.kill()
        own.process.start()
    return await finished(google, name)


class TestFaults:
    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("kind", SEEN)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_fault_spoils_one_reply_and_the_bill_is_as_planned(
        self, service: Service, google: AsyncClient, call: Call, kind: FaultKind, when: When
    ) -> None:
        name, video = await made_before(service, google)
        await service.control.add_rule(FaultRule(call=call, kind=kind, when=when, match="fox"))
        await self._check_what_the_client_sees(google, call, kind, name, video)
        received, *bills, answer = await service.settled()
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
        name, video = await made_before(service, google)
        control = service.control
        await control.add_rule(FaultRule(call=call, kind=FaultKind.HANG, when=when))
        hanging = begin(CALLS[call](google, name, video))

        async def hit() -> bool:
            return (await control.rules())[0].hits == 1

        await wait_until(hit, what="the call hangs", deadline_seconds=DEADLINE_SECONDS)
        assert not any(isinstance(record, Answered) for record in await service.settled())
        await abandon(hanging)
        answer = await service.answer()
        assert (answer.kind, answer.status, answer.client_connected) == ("hang", None, False)
        paid = call in {Call.IMAGE, Call.VIDEO_START} and when is When.AFTER_BILLING
        assert len(service.bills()) == paid

    @pytest.mark.parametrize("when", WHENS)
    @pytest.mark.parametrize("call", list(Call))
    async def test_a_delayed_call_takes_longer_and_is_as_good(
        self, service: Service, google: AsyncClient, call: Call, when: When
    ) -> None:
        name, video = await rendered_video(google)
        delay = FaultRule(call=call, kind=FaultKind.DELAY, when=when, delay_seconds=0.1)
        await service.control.add_rule(delay)
        began = asyncio.get_running_loop().time()
        await CALLS[call](google, name, video)
        assert asyncio.get_running_loop().time() - began >= 0.1
        last = (await service.settled())[-1]
        assert isinstance(last, Answered)
        assert last.kind == "ok"

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
        assert reply.usage_metadata is not None
        assert reply.usage_metadata.candidates_token_count is None
        assert (await service.answer()).kind == "rai_filtered"
        assert len(service.bills()) == (when is When.AFTER_BILLING)

    @pytest.mark.parametrize("restart", [False, True])
    async def test_a_filtered_video_ends_without_samples_and_costs_nothing(
        self, own: Service, own_google: AsyncClient, restart: bool
    ) -> None:
        operation = await _ended_as(FaultKind.RAI_FILTERED, own, own_google, restart=restart)
        assert operation.response is not None
        assert operation.response.rai_media_filtered_count == 1
        assert operation.response.generated_videos is None
        (bill,) = own.bills()
        assert (bill.outcome, bill.amount_usd, bill.sha256) == (
            Outcome.FILTERED,
            Decimal(0),
            None,
        )
        assert (await own.answer()).kind == "rai_filtered"

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (3, "Try rephrasing the prompt."),
            (8, "currently overloaded"),
            (13, "You have not been charged."),
            (14, "currently experiencing high load"),
        ],
    )
    async def test_a_failed_operation_says_what_its_code_means_after_a_restart_too(
        self, own: Service, own_google: AsyncClient, code: int, words: str
    ) -> None:
        kind = FaultKind.FAILED_OPERATION
        operation = await _ended_as(kind, own, own_google, restart=True, code=code)
        assert operation.error is not None
        assert operation.error["code"] == code
        assert words in operation.error["message"]
        assert [bill.error_code for bill in own.bills()] == [code]

    @pytest.mark.parametrize("restart", [False, True])
    async def test_an_undelivered_video_is_paid_for_and_done_without_anything(
        self, own: Service, own_google: AsyncClient, restart: bool
    ) -> None:
        operation = await _ended_as(FaultKind.UNDELIVERED, own, own_google, restart=restart)
        assert operation.done
        assert operation.error is None
        assert operation.response is not None
        assert operation.response.generated_videos is None
        assert operation.response.rai_media_filtered_count is None
        (bill,) = own.bills()
        assert (bill.outcome, bill.amount_usd, bill.sha256, bill.file) == (
            Outcome.UNDELIVERED,
            Decimal("1.20"),
            None,
            None,
        )
        assert (await own.answer()).kind == "undelivered"

    @pytest.mark.parametrize("restart", [False, True])
    async def test_an_inline_video_comes_with_the_poll_and_the_answer_proves_it(
        self, own: Service, own_google: AsyncClient, restart: bool
    ) -> None:
        operation = await _ended_as(FaultKind.INLINE, own, own_google, restart=restart)
        video = video_of(operation)
        assert (video.uri, video.mime_type) == (None, "video/mp4")
        assert video.video_bytes is not None
        (bill,) = own.bills()
        assert (bill.outcome, bill.amount_usd, bill.file) == (
            Outcome.INLINE,
            Decimal("1.20"),
            None,
        )
        last = (await own.settled())[-1]
        assert isinstance(last, Answered)
        assert last.sha256 == bill.sha256 == sha256_hex(video.video_bytes)

    async def test_an_expired_video_is_paid_for_rendered_and_not_found(
        self, service: Service, google: AsyncClient
    ) -> None:
        await service.control.set_latencies(LatencyChange(video_seconds=3600))
        rule = FaultRule(call=Call.VIDEO_START, kind=FaultKind.EXPIRED)
        await service.control.add_rule(rule)
        name = await start_video(google)
        assert not (await poll(google, name)).done
        await service.control.set_latencies(LatencyChange(video_seconds=0))
        with pytest.raises(errors.ClientError) as caught:
            await poll(google, name)
        assert (caught.value.code, caught.value.message) == (404, "Operation not found.")
        (bill,) = service.bills()
        assert (bill.outcome, bill.amount_usd, bill.sha256, bill.file) == (
            Outcome.EXPIRED,
            Decimal("1.20"),
            None,
            None,
        )
        assert [each.kind for each in await service.answers(3)] == ["expired", "ok", "not_found"]

    async def test_an_impossible_rule_is_refused_in_one_sentence(self, service: Service) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{service.url}/control/rules", json={"call": "poll", "kind": "failed_operation"}
            )
        assert answer.status_code == 422
        assert answer.json() == {
            "error": "The kind failed_operation can happen to video_start only."
        }
