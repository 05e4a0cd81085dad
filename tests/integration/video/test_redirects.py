"""A redirect to another host: who is served there, and what is on record."""

import httpx
import pytest
from google.genai.client import AsyncClient

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.media import sha256_hex
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.integration.video.calls import IMAGE_MODEL, PROMPT, VIDEO_MODEL, made_before
from tests.integration.video.stand_in import KEY, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITH_KEY = {"x-goog-api-key": KEY}


async def ask(
    service: Service,
    call: Call,
    operation: str = "",
    file: str | None = "",
    *,
    follow_redirects: bool = False,
) -> httpx.Response:
    """A call with the key, by a client that follows redirects or not."""
    method, path, body = {
        Call.IMAGE: (
            "POST",
            f"models/{IMAGE_MODEL}:generateContent",
            {"contents": [{"parts": [{"text": PROMPT}]}]},
        ),
        Call.VIDEO_START: (
            "POST",
            f"models/{VIDEO_MODEL}:predictLongRunning",
            {"instances": [{"prompt": PROMPT}]},
        ),
        Call.POLL: ("GET", operation, None),
        Call.DOWNLOAD: ("GET", f"files/{file}:download?alt=media", None),
    }[call]
    async with httpx.AsyncClient(
        trust_env=False, headers=WITH_KEY, follow_redirects=follow_redirects
    ) as client:
        return await client.request(method, f"{service.url}/v1beta/{path}", json=body)


async def fetch(url: str) -> httpx.Response:
    """Without the key."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


async def redirect(service: Service, call: Call) -> None:
    await service.control.add_rule(FaultRule(call=call, kind=FaultKind.REDIRECT, times=None))


async def test_a_download_is_served_elsewhere_to_whoever_keeps_the_key_back(
    service: Service, google: AsyncClient
) -> None:
    name, _ = await made_before(service, google)
    content = (await ask(service, Call.DOWNLOAD, file=await file_of(service, name))).content
    await service.settled()
    service.begin()
    await redirect(service, Call.DOWNLOAD)
    answer = await ask(service, Call.DOWNLOAD, file=await file_of(service, name))
    assert answer.status_code == 302
    location = httpx.URL(answer.headers["location"])
    assert (location.host, location.port) == ("localhost", service.process.port)
    assert location.path.startswith("/elsewhere/v1beta/files/")
    assert (await fetch(str(location))).content == content
    first, second = service.receipts()
    assert [(each.key_valid, each.redirected) for each in (first, second)] == [
        (True, False),
        (False, True),
    ]
    answers = await service.answers(2)
    assert [each.kind for each in answers] == ["redirect", "ok"]
    assert answers[1].sha256 == sha256_hex(content)


async def file_of(service: Service, name: str) -> str | None:
    bills = [each for each in await service.control.records() if each.event == "billed"]
    return next(bill.file for bill in bills if bill.operation == name)


@pytest.mark.parametrize("call", [Call.POLL, Call.DOWNLOAD])
async def test_a_client_that_takes_its_key_along_is_refused_and_it_is_on_record(
    service: Service, google: AsyncClient, call: Call
) -> None:
    name, _ = await made_before(service, google)
    await redirect(service, call)
    file = await file_of(service, name)
    answer = await ask(service, call, name, file, follow_redirects=True)
    assert answer.status_code == 403
    assert [(each.key_valid, each.redirected) for each in service.receipts()] == [
        (True, False),
        (True, True),
    ]
    assert [each.kind for each in await service.answers(2)] == ["redirect", "key_given_away"]


@pytest.mark.parametrize("call", [Call.IMAGE, Call.VIDEO_START])
async def test_a_paid_call_is_not_billed_where_it_is_redirected(
    service: Service, call: Call
) -> None:
    await redirect(service, call)
    answer = await ask(service, call)
    assert answer.status_code == 307
    assert httpx.URL(answer.headers["location"]).host == "localhost"
    assert service.bills() == ()
    assert len(service.receipts()) == 1
