"""Who may ask, how much, and what browsers are told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.unit.workflows.service.conftest import Connect, StandIn, errors
from workflows.service import bodies
from workflows.service.app import create_app
from workflows.service.schemas import MAX_BODY_BYTES

TOKEN = "sesame-open-sesame"
BODY = {"templateType": "single", "config": {"characterPrompt": "a", "videoPrompt": "b"}}
START = "/api/template-workflow"


# Token


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer s\u00e9same",
    ],
)
async def test_without_the_token_nothing_is_done(
    connect: Connect, stand_in: StandIn, header: str | None
) -> None:
    headers = httpx.Headers(
        [] if header is None else [(b"Authorization", header.encode("latin-1"))]
    )
    async with connect(TOKEN) as http:
        for path in ("/api/operations", "/api/status/fox", "/nowhere", "/static"):
            response = await http.get(path, headers=headers)
            assert response.status_code == 401, path
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert errors(response) == [
                "a valid token is needed: send Authorization: Bearer TOKEN."
            ]
        assert (await http.post(START, json=BODY, headers=headers)).status_code == 401
    assert stand_in.asked == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_opens(connect: Connect, scheme: str) -> None:
    async with connect(TOKEN) as http:
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert (await http.get("/api/operations", headers=headers)).status_code == 200
        assert (await http.get("/nowhere", headers=headers)).status_code == 404


async def test_pages_and_probes_need_no_token(connect: Connect) -> None:
    async with connect(TOKEN) as http:
        for path in ("/", "/docs", "/openapi.json", "/health", "/ready", "/static/app.css"):
            assert (await http.get(path)).status_code == 200, path


async def test_with_a_token_another_name_and_origin_may_ask(connect: Connect) -> None:
    """No page of a stranger knows the token, and a proxy may give the service another name."""
    async with connect(TOKEN, base_url="https://video.example") as http:
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://elsewhere.example"}
        assert (await http.post("/api/pause/fox", headers=headers)).status_code == 202


async def test_the_description_tells_of_the_token_only_where_one_is_needed(
    connect: Connect,
) -> None:
    async with connect(TOKEN) as locked, connect() as free:
        paths = (await locked.get("/openapi.json")).json()["paths"]
        assert "security" in paths["/api/operations"]["get"]
        assert "security" not in paths["/health"]["get"]
        assert "security" not in (await free.get("/openapi.json")).text


# Names and origins


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3007", 200),
        ("127.8.9.1", 200),
        ("localhost:3007", 200),
        ("LOCALHOST", 200),
        ("[::1]:3007", 200),
        ("evil.test:3007", 403),
        ("127.0.0.1.evil.test", 403),
        ("localhost.evil.test", 403),
        ("10.0.0.1", 403),
        ("", 403),
        ("[::1", 403),
        ("localhost:port", 403),
    ],
)
async def test_only_a_loopback_name_is_answered(
    http: httpx.AsyncClient, host: str, status: int
) -> None:
    response = await http.get("/health", headers={"Host": host})
    assert response.status_code == status
    if status == 403:
        assert errors(response)[0].startswith("the Host header must be localhost or a loopback")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:3007", 202),
        ("HTTP://127.0.0.1:3007", 202),
        ("http://127.0.0.1", 403),
        ("http://localhost:3007", 403),
        ("http://127.0.0.1:3008", 403),
        ("http://evil.test", 403),
        ("null", 403),
        ("file://127.0.0.1:3007", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
async def test_a_post_from_another_origin_is_refused(
    http: httpx.AsyncClient, stand_in: StandIn, origin: str, status: int
) -> None:
    response = await http.post("/api/cancel/fox", headers={"Origin": origin})
    assert response.status_code == status
    if status == 403:
        assert errors(response) == ["requests from a page of another origin are refused."]
        assert stand_in.asked == []


async def test_a_post_without_an_origin_is_no_page_and_passes(http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/cancel/fox")).status_code == 202


# Bodies


async def spaces(size: int) -> AsyncIterator[bytes]:
    for _ in range(16):
        yield b" " * (size // 16)


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 16, 3 * MAX_BODY_BYTES, 10 * MAX_BODY_BYTES])
async def test_a_body_that_is_too_large_is_refused_whether_announced_or_not(
    http: httpx.AsyncClient, size: int
) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b" " * size, spaces(size)):
        response = await http.post(START, content=content, headers=headers)
        assert response.status_code == 413
        assert errors(response) == ["the body is larger than 3,145,728 bytes."]


async def test_the_largest_body_is_read(http: httpx.AsyncClient) -> None:
    text = b'{"templateType": "film"}'
    content = text + b" " * (MAX_BODY_BYTES - len(text))
    response = await http.post(START, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422


async def test_a_body_that_never_ends_is_given_up(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)
    app = create_app(stand_in, SecretStr(TOKEN))
    sent = await ask(app, {"authorization": f"Bearer {TOKEN}"}, [])
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def ask(
    app: Any, headers: dict[str, str], pieces: Sequence[dict[str, Any]], path: str = START
) -> list[Any]:
    """Post pieces of a body, then nothing more; what was sent back."""
    sent: list[Any] = []
    waiting = iter(pieces)

    async def receive() -> dict[str, Any]:
        for piece in waiting:
            return {"type": "http.request", "more_body": True, **piece}
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")]
        + [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    return sent


async def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "DRAIN_SECONDS", 0.01)
    app = create_app(stand_in, None)
    start, body, *_ = await ask(app, {"content-length": f"{MAX_BODY_BYTES + 1}"}, [])
    assert start["status"] == 413
    assert (b"connection", b"close") in start["headers"]
    assert b"3,145,728" in body["body"]


async def test_two_ways_to_tell_where_a_body_ends_are_refused(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "DRAIN_SECONDS", 0.01)
    headers = {"content-length": "3", "transfer-encoding": "chunked"}
    start, body, *_ = await ask(create_app(stand_in, None), headers, [], "/api/pause/fox")
    assert start["status"] == 400
    assert (b"connection", b"close") in start["headers"]
    assert b"Content-Length or Transfer-Encoding, not both" in body["body"]
    assert stand_in.asked == []


@pytest.mark.parametrize(("count", "status"), [(20, 200), (21, 400), (6_000, 400)])
async def test_a_query_of_many_parameters_is_refused(
    http: httpx.AsyncClient, count: int, status: int
) -> None:
    for path in ("/api/operations", "/health", "/"):
        response = await http.get(f"{path}?{'&'.join(['a'] * count)}")
        assert response.status_code == status, path
    assert status == 200 or errors(response) == ["the query has more than 20 parameters."]


async def test_half_a_request_whose_sender_went_away_is_none(stand_in: StandIn) -> None:
    """What is there may be sound JSON, and is not what was to be sent."""
    whole = json.dumps(BODY).encode()
    pieces: list[dict[str, Any]] = [{"body": whole}, {"type": "http.disconnect"}]
    headers = {"content-type": "application/json", "content-length": f"{len(whole) + 1}"}
    assert await ask(create_app(stand_in, None), headers, pieces) == []
    assert stand_in.asked == []


async def test_large_bodies_share_what_room_there_is_and_small_ones_need_none(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", bodies.SMALL_BYTES)
    monkeypatch.setattr(bodies, "DRAIN_SECONDS", 0.01)
    app = create_app(stand_in, None)
    slow = asyncio.create_task(ask(app, {}, [{"body": b" " * 2 * bodies.SMALL_BYTES}]))
    await asyncio.sleep(0)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        large = await http.post(START, content=b" " * 2 * bodies.SMALL_BYTES)
        assert (large.status_code, large.headers["Retry-After"]) == (503, "2")
        assert errors(large) == ["too many large requests are under way; try again."]
        assert (await http.post(START, json=BODY)).status_code == 202
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert (await http.post(START, content=b" " * 2 * bodies.SMALL_BYTES)).status_code == 422


# HEAD


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/static/app.js", "/health", "/ready"]
)
async def test_head_of_a_page_or_probe_is_its_get_without_a_body(
    connect: Connect, path: str
) -> None:
    async with connect(TOKEN) as http:
        head, get = await http.head(path), await http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize("path", ["/api/operations", "/api/status/fox", "/api/status/unknown"])
async def test_head_of_what_the_api_shows_is_its_get_without_a_body(
    http: httpx.AsyncClient, path: str
) -> None:
    head, get = await http.head(path), await http.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


async def test_head_needs_the_token_as_get_does(connect: Connect, stand_in: StandIn) -> None:
    async with connect(TOKEN) as http:
        assert (await http.head("/api/operations")).status_code == 401
    assert stand_in.asked == []


async def test_head_changes_nothing(http: httpx.AsyncClient, stand_in: StandIn) -> None:
    response = await http.head("/api/cancel/fox")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert stand_in.asked == []


# What browsers are told


async def test_every_answer_tells_a_browser_to_be_careful(http: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/static/app.js", "/api/operations", "/api/nothing", "/health"):
        headers = (await http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        csp = headers["Content-Security-Policy"]
        assert csp.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in csp
        assert "'unsafe-inline'" not in csp.partition("style-src")[0]


async def test_no_answer_is_kept(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/operations")).headers["Cache-Control"] == "no-store"
    assert (await http.get("/static/app.js")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_holds_no_script_and_names_no_other_host(
    http: httpx.AsyncClient, path: str
) -> None:
    page = (await http.get(path)).text
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    assert re.findall(r"\son\w+=|style=", page) == []
    assert re.findall(r"https?://", page) == []
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert (await http.get(name)).status_code == 200, name


@pytest.mark.parametrize(
    "path", ["/static/index.html", "/static/..%2f__init__.py", "/static/%2e%2e/app.py", "/static/"]
)
async def test_no_other_file_can_be_had(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 404
    assert errors(response)


async def test_another_method_names_what_is_possible(http: httpx.AsyncClient) -> None:
    response = await http.put("/api/pause/fox")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert errors(response) == ["PUT is not allowed here."]
    response = await http.delete("/api/operations")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
