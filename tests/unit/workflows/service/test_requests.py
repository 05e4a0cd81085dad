"""What a client may send, and the sentence for each fault."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from tests.unit.workflows.service.conftest import StandIn, errors
from workflows.models import Choice, Decision, SeriesVideoInput, SingleVideoInput
from workflows.policies import MAX_PROMPTS_BYTES
from workflows.service.errors import conflict, unavailable
from workflows.service.schemas import MAX_PROMPT_CHARACTERS, Kind

START = "/api/template-workflow"
ID_RULE = "must be letters, digits, dots, dashes and underscores, at most 200."
BLANK = "is blank, or has a NUL character."


def single(**changes: Any) -> dict[str, Any]:
    config = {"characterPrompt": "a fox", "videoPrompt": "it jumps"}
    return {"templateType": "single", "config": config, **changes}


def series(*prompts: Any, **changes: Any) -> dict[str, Any]:
    config = {"characterPrompt": "a fox", "videoPrompts": list(prompts)}
    return {"templateType": "series", "config": config, **changes}


async def test_a_single_is_started(http: httpx.AsyncClient, stand_in: StandIn) -> None:
    response = await http.post(START, json=single(operationId="fox-1"))
    assert response.status_code == 202
    assert response.json() == {"operationId": "fox-1", "statusUrl": "/api/status/fox-1"}
    given = SingleVideoInput(character_prompt="a fox", video_prompt="it jumps")
    assert stand_in.asked == [("start", Kind.SINGLE, given, "fox-1")]


async def test_a_series_is_started(http: httpx.AsyncClient, stand_in: StandIn) -> None:
    response = await http.post(
        START, json=series("it jumps", "it sleeps"), headers={"Idempotency-Key": "fox-2"}
    )
    assert response.json()["operationId"] == "fox-2"
    given = SeriesVideoInput(character_prompt="a fox", video_prompts=("it jumps", "it sleeps"))
    assert stand_in.asked == [("start", Kind.SERIES, given, "fox-2")]


async def test_without_an_id_one_is_made_up(http: httpx.AsyncClient) -> None:
    ids = [(await http.post(START, json=single())).json()["operationId"] for _ in range(2)]
    assert len({str(uuid.UUID(name)) for name in ids}) == 2


async def test_the_same_id_twice_in_one_request_is_fine(http: httpx.AsyncClient) -> None:
    response = await http.post(
        START, json=single(operationId="fox"), headers={"Idempotency-Key": "fox"}
    )
    assert response.status_code == 202


async def test_two_ids_in_one_request_are_refused(
    http: httpx.AsyncClient, stand_in: StandIn
) -> None:
    response = await http.post(
        START, json=single(operationId="fox"), headers={"Idempotency-Key": "owl"}
    )
    assert response.status_code == 422
    assert errors(response) == [
        "operationId and the header Idempotency-Key mean the same; send one of them."
    ]
    assert stand_in.asked == []


@dataclass(frozen=True)
class Wrong:
    """A body that is refused, and what is said."""

    case: str
    body: Any
    said: tuple[str, ...]


LONG = "x" * (MAX_PROMPT_CHARACTERS + 1)
WRONG = (
    Wrong("list", [], ("the body must be a JSON object, sent as application/json.",)),
    Wrong("no-type", {"config": {}}, ("templateType is missing.",)),
    Wrong(
        "other-type",
        single(templateType="film"),
        ("templateType must be one of 'single', 'series'.",),
    ),
    Wrong("no-config", {"templateType": "single"}, ("config is missing.",)),
    Wrong(
        "empty-config",
        {"templateType": "single", "config": {}},
        ("config.characterPrompt is missing.", "config.videoPrompt is missing."),
    ),
    Wrong(
        "prompts-of-a-series",
        {"templateType": "single", "config": {"characterPrompt": "a", "videoPrompts": ["b"]}},
        ("config.videoPrompt is missing.", "config.videoPrompts is not a known field."),
    ),
    Wrong("unknown-field", single(priority=1), ("priority is not a known field.",)),
    Wrong("snake-case", single(operation_id="x"), ("operation_id is not a known field.",)),
    Wrong("empty", series(""), ("config.videoPrompts[0] is empty.",)),
    Wrong("blank", series("a", " \n\t"), (f"config.videoPrompts[1] {BLANK}",)),
    Wrong("nul", series("a\x00b"), (f"config.videoPrompts[0] {BLANK}",)),
    Wrong("surrogate", series("\ud800"), ("config.videoPrompts[0] is not valid Unicode.",)),
    Wrong("too-long", series(LONG), ("config.videoPrompts[0] is longer than 8000 characters.",)),
    Wrong("number", series(7), ("config.videoPrompts[0]: input should be a valid string.",)),
    Wrong("no-videos", series(), ("config.videoPrompts is empty.",)),
    Wrong("many", series(*["a"] * 1001), ("config.videoPrompts has more than 1000 entries.",)),
    Wrong(
        "large",
        series(*["é" * 4_000] * 130),
        ("config has prompts of 1,040,399 bytes together; 1,000,000 is the limit.",),
    ),
    Wrong(
        "many-wrong",
        series(*[1] * 12),
        (
            *(f"config.videoPrompts[{n}]: input should be a valid string." for n in range(10)),
            "there are 2 more errors.",
        ),
    ),
    Wrong("very-many", series(*[1] * 4_002), ("the body has more than 4,000 values.",)),
    Wrong(
        "many-fields",
        single(**{f"n{n}": 1 for n in range(3_000)}),
        (
            *(f"n{n} is not a known field." for n in range(10)),
            "there are 2990 more errors.",
        ),
    ),
    Wrong(
        "very-many-fields",
        single(**{f"n{n}": 1 for n in range(4_001)}),
        ("the body has more than 4,000 values.",),
    ),
    Wrong("id-with-a-slash", single(operationId="a/b"), (f"operationId {ID_RULE}",)),
    Wrong("id-of-dots", single(operationId=".."), (f"operationId {ID_RULE}",)),
    Wrong("id-too-long", single(operationId="a" * 201), (f"operationId {ID_RULE}",)),
    Wrong("id-with-a-line", single(operationId="a\n"), (f"operationId {ID_RULE}",)),
    Wrong(
        "name-of-the-clients-own",
        single(**{"n\ud7ff" + "n" * 100: 1}),
        ("n\\ud7ff" + "n" * 53 + "… is not a known field.",),
    ),
    Wrong("broken-name", single(**{"\ud800": 1}), ("the body is not valid Unicode.",)),
)


async def test_a_large_body_without_end_of_faults_has_a_short_answer(
    http: httpx.AsyncClient,
) -> None:
    ones = b"1," * 1_400_000
    for content in (
        b'{"templateType": "series", "config": {"videoPrompts": [' + ones + b"1]}}",
        b"[" + ones + b"1]",
        b'{"templateType": "single", "config": [' + ones + b"1]}",
    ):
        response = await http.post(
            START, content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 422
        assert len(response.content) < 1_000


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.case)
async def test_a_wrong_request_is_told_in_a_sentence_for_each_fault(
    http: httpx.AsyncClient, stand_in: StandIn, wrong: Wrong
) -> None:
    response = await http.post(
        START, content=json.dumps(wrong.body), headers={"Content-Type": "application/json"}
    )
    assert errors(response) == list(wrong.said)
    assert response.status_code == 422
    assert stand_in.asked == []


async def test_the_longest_id_is_taken(http: httpx.AsyncClient) -> None:
    assert (await http.post(START, json=single(operationId="a" * 200))).status_code == 202


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
async def test_another_encoding_hides_no_values(http: httpx.AsyncClient, encoding: str) -> None:
    """Half of a ∀ looks like a quote."""
    content = ('["∀",' + "1," * 9_000 + "1]").encode(encoding)
    response = await http.post(START, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert errors(response) == ["the body is not JSON in UTF-8."]


async def test_the_words_of_a_prompt_are_no_values(http: httpx.AsyncClient) -> None:
    for text in (',"\\' * 1_000, "[1,1]," * 1_000, '\\\\",' * 1_000, "é," * 3_000):
        response = await http.post(START, json=series(*[text] * 20))
        assert response.status_code == 202, response.text


async def test_prompts_that_just_fit_are_taken(http: httpx.AsyncClient) -> None:
    prompts = ["x" * (MAX_PROMPT_CHARACTERS - 3)] * (MAX_PROMPTS_BYTES // MAX_PROMPT_CHARACTERS - 1)
    assert (await http.post(START, json=series(*prompts))).status_code == 202


async def test_a_body_that_is_no_json_is_told(http: httpx.AsyncClient) -> None:
    response = await http.post(
        START, content=b'{"templateType":', headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    (sentence,) = errors(response)
    assert sentence.startswith("the body is not JSON: ")


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b"9" * 5_000])
async def test_a_body_that_cannot_be_read_is_told(http: httpx.AsyncClient, content: bytes) -> None:
    response = await http.post(START, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert len(errors(response)) == 1


async def test_a_body_of_another_kind_is_refused(http: httpx.AsyncClient) -> None:
    """A form on somebody's page can post text/plain without asking the browser first."""
    response = await http.post(
        START, content=json.dumps(single()), headers={"Content-Type": "text/plain"}
    )
    assert response.status_code == 422
    assert errors(response) == ["the body must be a JSON object, sent as application/json."]


@pytest.mark.parametrize("second", ["owl", "fox", "not an id", ""])
async def test_two_keys_are_refused(
    http: httpx.AsyncClient, stand_in: StandIn, second: str
) -> None:
    keys = [("Idempotency-Key", "fox"), ("idempotency-key", second)]
    response = await http.post(START, json=single(), headers=keys)
    assert response.status_code == 400
    assert errors(response) == ["there are two Idempotency-Key headers; send one of them."]
    assert stand_in.asked == []


async def test_a_key_that_is_no_id_is_told(http: httpx.AsyncClient) -> None:
    response = await http.post(START, json=single(), headers={"Idempotency-Key": "a b"})
    assert response.status_code == 422
    assert errors(response) == [f"idempotency-key {ID_RULE}"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit: input should be greater than or equal to 1."),
        ("limit=101", "limit: input should be less than or equal to 100."),
        (
            "limit=x",
            "limit: input should be a valid integer, unable to parse string as an integer.",
        ),
    ],
)
async def test_a_wrong_query_is_told(http: httpx.AsyncClient, query: str, said: str) -> None:
    response = await http.get(f"/api/operations?{query}")
    assert (response.status_code, errors(response)) == (422, [said])


async def test_the_list_is_asked_for_as_the_client_says(
    http: httpx.AsyncClient, stand_in: StandIn
) -> None:
    await http.get("/api/operations")
    await http.get("/api/operations?limit=5&pageToken=abc")
    assert stand_in.asked == [("page", 20, None), ("page", 5, "abc")]


# Controls and decisions


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "restart"])
async def test_a_control_is_handed_on(
    http: httpx.AsyncClient, stand_in: StandIn, verb: str
) -> None:
    response = await http.post(f"/api/{verb}/fox")
    assert response.status_code == 202
    assert response.headers["Location"] == "/api/status/fox"
    assert stand_in.asked == [(verb, "fox")]


async def test_an_id_in_a_path_that_is_none_is_told(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/status/a%20b")
    assert (response.status_code, errors(response)) == (422, [f"operationId {ID_RULE}"])


@pytest.mark.parametrize(
    ("body", "decision"),
    [
        (
            {"step": "video-001", "choice": "made", "providerOperation": "models/m/operations/1"},
            Decision(
                step="video-001", choice=Choice.MADE, provider_operation="models/m/operations/1"
            ),
        ),
        (
            {"step": "character", "choice": "resend"},
            Decision(step="character", choice=Choice.RESEND),
        ),
        (
            {"step": "character", "choice": "give_up"},
            Decision(step="character", choice=Choice.GIVE_UP),
        ),
    ],
)
async def test_a_decision_is_handed_on(
    http: httpx.AsyncClient, stand_in: StandIn, body: object, decision: Decision
) -> None:
    assert (await http.post("/api/decide/fox", json=body)).status_code == 202
    assert stand_in.asked == [("decide", "fox", decision)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"step": "s", "choice": "made"}, "providerOperation is missing."),
        (
            {"step": "s", "choice": "made", "providerOperation": "1"},
            "providerOperation must be such as models/MODEL/operations/ID.",
        ),
        (
            {"step": "s", "choice": "resend", "providerOperation": "models/m/operations/1"},
            "providerOperation is not a known field.",
        ),
        (
            {"step": "s", "choice": "maybe"},
            "choice must be one of 'made', 'resend', 'give_up'.",
        ),
        ({"choice": "resend"}, "step is missing."),
    ],
)
async def test_a_wrong_decision_is_told(http: httpx.AsyncClient, body: object, said: str) -> None:
    response = await http.post("/api/decide/fox", json=body)
    assert (response.status_code, errors(response)) == (422, [said])


# What comes back from below


async def test_an_outage_names_the_key_to_try_again_with(
    http: httpx.AsyncClient, stand_in: StandIn
) -> None:
    stand_in.fault = unavailable("Temporal is away.")
    response = await http.post(START, json=single())
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    (asked,) = stand_in.asked
    assert errors(response) == [f"Temporal is away. Send it again with Idempotency-Key: {asked[3]}"]


async def test_a_conflict_is_told(http: httpx.AsyncClient, stand_in: StandIn) -> None:
    stand_in.fault = conflict("it has ended.")
    response = await http.post("/api/pause/fox")
    assert (response.status_code, errors(response)) == (409, ["it has ended."])


async def test_a_defect_is_told_without_its_words(
    http: httpx.AsyncClient, stand_in: StandIn
) -> None:
    stand_in.fault = ValueError("hush-hush")
    response = await http.get("/api/status/fox")
    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert errors(response) == ["the service has a bug here; see its log."]
    assert "nosniff" in response.headers["X-Content-Type-Options"]


async def test_an_unknown_operation_is_told(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/status/unknown")
    assert (response.status_code, errors(response)) == (404, ["there is no operation 'unknown'."])


async def test_a_status_is_in_camel_case(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/api/status/fox")).json()
    assert answer == {
        "operationId": "fox",
        "type": "single",
        "status": "running",
        "startedAt": "2026-01-02T03:04:05Z",
        "closedAt": None,
        "videos": None,
        "progress": None,
        "progressMissing": "nobody asked.",
        "attempts": [],
        "alerts": [],
    }


async def test_health_asks_nobody_and_readiness_does(
    http: httpx.AsyncClient, stand_in: StandIn
) -> None:
    stand_in.fault = unavailable("no worker.")
    assert (await http.get("/health")).json() == {"status": "ok"}
    response = await http.get("/ready")
    assert (response.status_code, errors(response)) == (503, ["no worker."])
    assert stand_in.asked == [("require_ready",)]
