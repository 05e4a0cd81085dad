"""A planned reply of any status, headers and body, as it comes over HTTP."""

import httpx
import pytest

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultRule
from tests.integration.video.calls import (
    IMAGE_MODEL,
    PROMPT,
)
from tests.integration.video.stand_in import KEY, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def plan(service: Service, call: Call, **fields: object) -> None:
    rule = FaultRule.model_validate({"call": call, "kind": "status", **fields})
    await service.control.add_rule(rule)


async def ask_for_an_image(service: Service) -> httpx.Response:
    """The bare reply, before any client reads something into it."""
    url = f"{service.url}/v1beta/models/{IMAGE_MODEL}:generateContent"
    body = {"contents": [{"parts": [{"text": PROMPT}]}]}
    async with httpx.AsyncClient(trust_env=False, headers={"x-goog-api-key": KEY}) as client:
        return await client.post(url, json=body)


@pytest.mark.parametrize("status", [200, 204, 302, 304, 407, 409, 499, 502, 599])
async def test_any_status_arrives_with_its_headers_and_the_connection_stays_good(
    service: Service, status: int
) -> None:
    await plan(service, Call.IMAGE, status=status, headers={"Retry-After": "120"})
    reply = await ask_for_an_image(service)
    assert (reply.status_code, reply.headers["retry-after"]) == (status, "120")
    answer = await service.answer()
    assert (answer.kind, answer.status, answer.client_connected) == ("status", status, True)
    assert (await ask_for_an_image(service)).status_code == 200


async def test_a_text_arrives_byte_for_byte_under_its_own_content_type(service: Service) -> None:
    headers = {"content-type": "text/html"}
    body = "<html>d\xe9pass\xe9</html>"
    await plan(service, Call.IMAGE, status=407, headers=headers, body=body)
    reply = await ask_for_an_image(service)
    assert reply.headers.get_list("content-type") == ["text/html"]
    assert reply.content == body.encode()


async def test_a_body_can_be_no_gzip_though_a_header_says_so(service: Service) -> None:
    headers = {"content-type": "text/plain", "content-encoding": "gzip"}
    await plan(service, Call.IMAGE, status=429, headers=headers, body="oops")
    with pytest.raises(httpx.DecodingError):
        await ask_for_an_image(service)
