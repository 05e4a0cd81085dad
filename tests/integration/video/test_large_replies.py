"""A reply may be made large: it is the true one, and takes more room."""

import hashlib

import pytest
from google.genai.client import AsyncClient

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.integration.video.calls import download, image_bytes, made_before, make_image
from tests.integration.video.stand_in import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE_BYTES = 20_000_000


def _large(call: Call) -> FaultRule:
    return FaultRule(
        call=call, kind=FaultKind.LARGE, when=When.AFTER_BILLING, size_bytes=SIZE_BYTES
    )


async def test_an_image_is_the_one_that_was_billed(service: Service, google: AsyncClient) -> None:
    await service.control.add_rule(_large(Call.IMAGE))

    image = image_bytes(await make_image(google))

    (bill,) = service.bills()
    answer = await service.answer()
    assert hashlib.sha256(image).hexdigest() == bill.sha256 == answer.sha256
    assert answer.kind == "large"


async def test_a_video_is_larger_by_what_was_asked_for_and_once_only(
    service: Service, google: AsyncClient
) -> None:
    _, video = await made_before(service, google)
    await service.control.add_rule(_large(Call.DOWNLOAD))

    large = await download(google, video)
    small = await download(google, video)

    assert large.startswith(small)
    assert len(large) - len(small) == SIZE_BYTES + 8
    assert not service.bills()
