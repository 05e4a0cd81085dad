"""What leaves over a real socket, and what an error means by how far the request came."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from pydantic import SecretStr

from workflows import policies
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini
from workflows.settings import Settings
from workflows.transport import Exchange, _before, exchange

KEY = "AIza-canary-of-the-transport-tests"
MP4 = b"\0\0\0\x18ftypisom and so on"
DEADLINE_SECONDS = 1.0

Answer = Callable[[str], bytes | None]
"""By the first line of a request; None: the connection stays open, and nothing comes."""


@dataclass
class Server:
    """One of this machine: what it was asked, head by head."""

    port: int
    heads: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[bool]:
        return [f"x-goog-api-key: {KEY}".lower() in head for head in self.heads]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = re.search(r"content-length: (\d+)", head)
            await reader.readexactly(int(length.group(1)) if length else 0)
        except asyncio.IncompleteReadError:  # closed, and no request came
            return
        found.heads.append(head)
        reply = answer(head.splitlines()[0])
        if reply is not None:
            writer.write(reply)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found = Server(server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        for writer in writers:
            writer.close()


def reply(status: str, body: bytes = b"", *, missing: int = 0, location: str = "") -> bytes:
    """A whole one, or one that breaks off so many bytes before its end."""
    lines = [f"HTTP/1.1 {status}", "connection: close", f"content-length: {len(body) + missing}"]
    lines += [f"location: {location}"] if location else []
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def client(base_url: str, deadline_seconds: float = 10) -> Gemini:
    settings = Settings(gemini_api_key=SecretStr(KEY), image_deadline_seconds=deadline_seconds)
    # Past what the settings themselves look at.
    return Gemini(settings.model_copy(update={"google_gemini_base_url": base_url}))


async def paid_failure(
    base_url: str, deadline_seconds: float = 10, asked: list[str] | None = None
) -> ApiError:
    """How an image fails; `asked` gets an entry when the request is about to leave."""
    async with client(base_url, deadline_seconds) as gemini:
        with pytest.raises(ApiError) as raised:
            await gemini.generate_image(
                "a fox", lambda: asked.append("may it?") if asked is not None else None
            )
    return raised.value


# A proxy


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        ("407 Proxy Authentication Required", "ProxyRefused", Outcome.PERMANENT),
        ("403 Forbidden", "ProxyRefused", Outcome.PERMANENT),
        ("502 Bad Gateway", "Unreachable", Outcome.RETRYABLE),
    ],
)
async def test_behind_a_proxy_that_opens_no_way_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, status: str, code: str, outcome: Outcome
) -> None:
    asked: list[str] = []
    async with serving(lambda _: reply(status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        error = await paid_failure("https://api.invalid", asked=asked)
    assert (error.code, error.outcome) == (code, outcome)
    assert f"({status})" in str(error)
    assert asked == []
    assert [head.splitlines()[0] for head in proxy.heads] == ["connect api.invalid:443 http/1.1"]
    assert proxy.keys == [False]


async def test_a_request_through_a_proxy_for_plain_http_is_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    async with serving(lambda _: reply("500 Broken")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        error = await paid_failure("http://api.invalid", asked=asked)
    assert error.outcome is Outcome.IN_DOUBT
    assert len(asked) == len(proxy.heads) == 1


# How far a request came


async def test_a_connection_without_a_handshake_sent_nothing() -> None:
    """It is closed, too: a warning of an open one would fail the run."""
    asked: list[str] = []
    async with serving(lambda _: None) as server:
        error = await paid_failure(f"https://127.0.0.1:{server.port}", DEADLINE_SECONDS, asked)
    assert (error.code, error.outcome) == ("Unreachable", Outcome.RETRYABLE)
    assert asked == []


async def test_the_steps_of_a_connection_tell_how_far_a_request_came() -> None:
    now = Exchange(lambda: None)
    exchange.set(now)
    request = httpx.Request("POST", "http://api.test")
    await _before(request)
    known = [now.surely_unsent]
    for step in ("connection.connect_tcp.started", "http11.send_request_headers.started"):
        await request.extensions["trace"](step, {})
        known.append(now.surely_unsent)
    assert known == [False, True, False]


async def test_a_request_that_left_and_has_no_reply_is_in_doubt() -> None:
    asked: list[str] = []
    async with serving(lambda _: None) as server:
        error = await paid_failure(f"http://127.0.0.1:{server.port}", DEADLINE_SECONDS, asked)
    assert (error.code, error.outcome) == ("NoReply", Outcome.IN_DOUBT)
    assert len(asked) == len(server.heads) == 1


async def test_a_request_whose_connection_ends_without_a_reply_is_in_doubt() -> None:
    async with serving(lambda _: b"") as server:
        error = await paid_failure(f"http://127.0.0.1:{server.port}")
    assert (error.code, error.outcome) == ("ConnectionLost", Outcome.IN_DOUBT)
    assert len(server.heads) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "api.invalid", "ftp://api.invalid"])
async def test_an_address_that_is_none_sends_nothing(address: str) -> None:
    asked: list[str] = []
    error = await paid_failure(address, asked=asked)
    assert (error.code, error.outcome) == ("InvalidRequest", Outcome.PERMANENT)
    assert "GOOGLE_GEMINI_BASE_URL" in str(error)
    assert asked == []


async def test_a_refusal_that_breaks_off_is_still_one() -> None:
    async with serving(lambda _: reply("429 Slow", b"{", missing=500)) as server:
        error = await paid_failure(f"http://127.0.0.1:{server.port}")
    assert (error.code, error.outcome) == ("Unavailable", Outcome.RETRYABLE)


async def test_a_success_that_breaks_off_is_in_doubt() -> None:
    async with serving(lambda _: reply("200 OK", b"{", missing=500)) as server:
        error = await paid_failure(f"http://127.0.0.1:{server.port}")
    assert (error.code, error.outcome) == ("ConnectionLost", Outcome.IN_DOUBT)


# Redirects


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("301 Moved", Outcome.PERMANENT),
        ("302 Found", Outcome.IN_DOUBT),  # it may point to what was made
        ("303 See Other", Outcome.IN_DOUBT),
        ("307 Temporary", Outcome.PERMANENT),
        ("308 Permanent", Outcome.PERMANENT),
    ],
)
async def test_a_paid_request_is_sent_to_no_second_address(status: str, outcome: Outcome) -> None:
    async with serving(lambda _: reply(status, location="/elsewhere")) as server:
        error = await paid_failure(f"http://127.0.0.1:{server.port}")
    assert (error.code, error.outcome) == ("Redirected", outcome)
    assert len(server.heads) == 1


async def test_a_download_is_followed_over_hosts_without_the_key() -> None:
    def answer(asked: str) -> bytes:
        hosts = {"/second": "127.0.0.1", "/first": "localhost"}
        if "/last" in asked:
            return reply("200 OK", MP4)
        step = "/last" if "/second" in asked else "/second" if "/first" in asked else "/first"
        location = f"http://{hosts.get(step, 'localhost')}:{server.port}{step}"
        return reply("302 Found", location=location)

    async with serving(answer) as server, client(f"http://127.0.0.1:{server.port}") as gemini:
        assert await gemini.download_video("https://x/v1beta/files/abc:download") == MP4
    assert server.keys[0]
    elsewhere = [f"host: localhost:{server.port}" in head for head in server.heads]
    assert elsewhere == [False, True, False, True]
    assert not any(
        key and is_elsewhere for key, is_elsewhere in zip(server.keys, elsewhere, strict=True)
    )


async def test_a_redirect_on_the_same_host_keeps_the_key() -> None:
    def answer(asked: str) -> bytes:
        return (
            reply("200 OK", MP4)
            if "/moved" in asked
            else reply("307 Temporary", location=f"http://127.0.0.1:{server.port}/moved")
        )

    async with serving(answer) as server, client(f"http://127.0.0.1:{server.port}") as gemini:
        assert await gemini.download_video("https://x/v1beta/files/abc:download") == MP4
    assert server.keys == [True, True]


async def test_a_video_that_is_elsewhere_is_fetched_without_the_key() -> None:
    async with serving(lambda _: reply("200 OK", MP4)) as server, client("http://a.test") as gemini:
        assert await gemini.download_video(f"http://127.0.0.1:{server.port}/b/abc.mp4") == MP4
    assert server.keys == [False]


@pytest.mark.parametrize("location", ["/again", ""])
async def test_a_download_that_is_led_nowhere_ends(location: str) -> None:
    async with (
        serving(lambda _: reply("302 Found", location=location)) as server,
        client(f"http://127.0.0.1:{server.port}") as gemini,
    ):
        with pytest.raises(ApiError, match="leads nowhere") as raised:
            await gemini.download_video("https://x/v1beta/files/abc:download")
    assert (raised.value.code, raised.value.outcome) == ("Redirected", Outcome.RETRYABLE)
    assert len(server.heads) <= 21


async def test_a_redirect_to_where_nobody_is_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "DOWNLOAD_DEADLINE_SECONDS", 5)
    async with serving(lambda _: b"") as gone:
        pass
    async with (
        serving(lambda _: reply("302 Found", location=f"http://127.0.0.1:{gone.port}/")) as server,
        client(f"http://127.0.0.1:{server.port}") as gemini,
    ):
        with pytest.raises(ApiError) as raised:
            await gemini.download_video("https://x/v1beta/files/abc:download")
    assert (raised.value.code, raised.value.outcome) == ("Unreachable", Outcome.RETRYABLE)
