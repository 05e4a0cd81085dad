"""What is posted, what each answer means, and that the URL turns up nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
import respx
from pydantic import SecretStr

from workflows.alerts.alert import Alert
from workflows.alerts.channel import PostponedError, RefusedError
from workflows.alerts.webhook import Webhook

URL = "https://hooks.test/services/hush-hush"
NOW = datetime(2025, 11, 24, 12, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def webhook() -> AsyncIterator[Webhook]:
    webhook = Webhook(SecretStr(URL), timeout_seconds=5, now=lambda: NOW)
    yield webhook
    await webhook.aclose()


@respx.mock
async def test_the_text_is_posted_as_slack_wants_it(webhook: Webhook, alert: Alert) -> None:
    route = respx.post(URL).respond(200, text="ok")
    await webhook.send(alert)
    assert json.loads(route.calls.last.request.content) == {"text": alert.text}
    assert route.call_count == 1


@respx.mock
async def test_a_name_cannot_call_everybody(webhook: Webhook, alert: Alert) -> None:
    route = respx.post(URL).respond(200)
    await webhook.send(alert.model_copy(update={"workflow_id": "<!channel> & co"}))
    text = json.loads(route.calls.last.request.content)["text"]
    assert text.startswith("SingleVideo &lt;!channel&gt; &amp; co: ")


@pytest.mark.parametrize("status", [200, 201, 204])
@respx.mock
async def test_success_is_accepted(webhook: Webhook, alert: Alert, status: int) -> None:
    route = respx.post(URL).respond(status)
    await webhook.send(alert)
    assert route.called


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
@respx.mock
async def test_a_refusal_is_final(webhook: Webhook, alert: Alert, status: int) -> None:
    respx.post(URL).respond(status)
    with pytest.raises(RefusedError, match=f"^it answered HTTP {status}$"):
        await webhook.send(alert)


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500, 502, 503])
@respx.mock
async def test_other_answers_are_no_end(webhook: Webhook, alert: Alert, status: int) -> None:
    respx.post(URL).respond(status, headers={"Location": "https://elsewhere.test/"})
    with pytest.raises(PostponedError, match=f"^it answered HTTP {status}$"):
        await webhook.send(alert)


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Mon, 24 Nov 2025 12:00:30 GMT", 30.0),
        ("Mon, 24 Nov 2025 11:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
@respx.mock
async def test_the_receivers_wish_is_read(
    webhook: Webhook, alert: Alert, wish: str, seconds: float | None
) -> None:
    respx.post(URL).respond(429, headers={"Retry-After": wish})
    with pytest.raises(PostponedError) as raised:
        await webhook.send(alert)
    assert raised.value.wish_seconds == seconds


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, OSError]
)
@respx.mock
async def test_a_receiver_that_is_not_there_is_no_end(
    webhook: Webhook, alert: Alert, error: type[Exception]
) -> None:
    respx.post(URL).mock(side_effect=error(URL))
    with pytest.raises(PostponedError, match=rf"^it cannot be reached \({error.__name__}\)$") as r:
        await webhook.send(alert)
    # The error that holds the request, and with it the URL, is not part of what is told.
    assert r.value.__suppress_context__
    assert r.value.__cause__ is None


@respx.mock
async def test_the_url_is_not_logged(
    webhook: Webhook, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    respx.post(URL).respond(200)
    await webhook.send(alert)
    assert "hush-hush" not in caplog.text


@respx.mock
async def test_other_requests_are_logged_as_before(
    webhook: Webhook, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    respx.post(URL).respond(200)
    respx.get("https://other.test/").respond(200)
    await webhook.send(alert)
    async with httpx.AsyncClient() as client:
        await client.get("https://other.test/")
    assert "https://other.test/" in caplog.text


def test_it_does_not_show_its_url() -> None:
    assert "hush" not in repr(Webhook(SecretStr(URL), timeout_seconds=1).__dict__)
