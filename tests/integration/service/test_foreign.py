"""Operations of other programs in our namespace: each is shown as what it is, and hides none."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest

from chaos.environment.stack import StackSpec
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.integration.conftest import BenchIn
from tests.integration.service.client import Json, errors, request_of
from tests.integration.service.conftest import Serve, Served
from tests.integration.service.foreign import PAYLOADS, foreigners

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

START = "/api/template-workflow"
CONTROLS = ("pause", "resume", "cancel", "restart")
UNREADABLE = (
    "Another program started it with an input that no worker accepts: its input cannot be read."
)
NO_WORKERS = "no worker of this system can run it."


@dataclass(frozen=True)
class Crowd:
    """A service, and the ids of the operations that are none of ours."""

    served: Served
    ids: Sequence[str]

    @property
    def shown(self) -> set[str]:
        """Those of our types."""
        return set(self.ids) - {"crowd-of-another-type"}

    async def status(self, name: str) -> Json:
        """Of one; it must be told."""
        response = await self.served.api.http.get(f"/api/status/crowd-{name}")
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    async def listed(self, limit: int) -> list[Json]:
        """All of the list."""
        found: list[Json] = []
        query: dict[str, str | int] = {"limit": limit}
        while True:
            response = await self.served.api.http.get("/api/operations", params=query)
            assert response.status_code == 200, response.text
            found.extend(response.json()["operations"])
            if not response.json()["nextPageToken"]:
                return found
            query["pageToken"] = response.json()["nextPageToken"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(
    bench_in: BenchIn, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crowd]:
    """A stack of their own: they would be on every page of the others' lists."""
    pausing = {"frontend.WorkflowPauseEnabled": "true"}
    spec = StackSpec(persistent=False, dynamic_config=pausing)
    async with (
        bench_in(tmp_path_factory.mktemp("crowd"), spec) as bench,
        serve(bench, "service-in-a-crowd") as served,
        foreigners(bench.lab.client, "crowd") as ids,
    ):
        crowd = Crowd(served, ids)

        async def are_listed() -> bool:
            return {one["operationId"] for one in await crowd.listed(100)} == crowd.shown

        await wait_until(are_listed, what="all are listed", deadline_seconds=30)
        yield crowd


async def test_the_list_shows_each_once_with_its_type_and_status(crowd: Crowd) -> None:
    for limit in (100, 20):
        found = await crowd.listed(limit)
        assert sorted(one["operationId"] for one in found) == sorted(crowd.shown)
        by_id = {one["operationId"]: one for one in found}
        assert by_id["crowd-input-encrypted"]["type"] == "single"
        assert by_id["crowd-series-input-encrypted"]["type"] == "series"
        assert by_id["crowd-result-encrypted"]["status"] == "completed"
        assert by_id["crowd-details-encrypted"]["status"] == "failed"
        assert by_id["crowd-terminated"]["status"] == "terminated"
        assert by_id["crowd-timed-out"]["status"] in {"running", "timed_out"}
        assert all(one["progress"] is None and one["progressMissing"] for one in found)


async def test_the_list_says_whose_input_cannot_be_read(crowd: Crowd) -> None:
    found = {one["operationId"]: one for one in await crowd.listed(20)}
    for name in ("unknown", "encrypted", "no-encoding", "no-json", "no-unicode", "deep"):
        for kind in ("input", "series-input"):
            one = found[f"crowd-{kind}-{name}"]
            assert (one["progressMissing"], one["alerts"]) == (NO_WORKERS, [UNREADABLE])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("no-input", "it takes one input, a JSON object; it got 0."),
        ("two-inputs", "it takes one input, a JSON object; it got 2."),
        (
            "series-with-the-input-of-a-single",
            "its input is wrong: video_prompts: field required.",
        ),
        (
            "many-wrong-prompts",
            (
                "its input is wrong: character_prompt: input should be a valid string; "
                "video_prompts.0: input should be a valid string."
            ),
        ),
        ("input-unknown", "its input cannot be read."),
    ],
)
async def test_an_input_that_no_worker_can_take_is_told_and_not_started_again(
    crowd: Crowd, name: str, wrong: str
) -> None:
    status = await crowd.status(name)
    assert (status["status"], status["progressMissing"]) == ("running", NO_WORKERS)
    assert status["alerts"] == [
        f"Another program started it with an input that no worker accepts: {wrong}"
    ]
    response = await crowd.served.api.post(
        f"/api/decide/crowd-{name}", {"step": "character", "choice": "resend"}
    )
    assert response.status_code == 409
    assert errors(response) == [f"crowd-{name} cannot take a decision: {wrong}"]


async def test_a_memo_of_another_program_counts_as_none(crowd: Crowd) -> None:
    kinds = ("memo", "print", "other-memo")
    names = [f"{kind}-{name}" for name in PAYLOADS for kind in kinds]
    for status in await asyncio.gather(*map(crowd.status, names)):
        assert (status["status"], status["videos"]) == ("running", None)
        assert "Another program" not in str(status["alerts"])


@pytest.mark.parametrize("name", [*PAYLOADS, "none"])
async def test_a_result_of_another_type_is_told(crowd: Crowd, name: str) -> None:
    status = await crowd.status(f"result-{name}")
    assert (status["status"], status["progress"]) == ("completed", None)
    assert status["progressMissing"] == (
        "its result is not a progress report; another program ran it."
    )


@pytest.mark.parametrize("name", PAYLOADS)
async def test_failure_details_of_another_type_are_told(crowd: Crowd, name: str) -> None:
    status = await crowd.status(f"details-{name}")
    assert (status["status"], status["progress"]) == ("failed", None)
    assert status["progressMissing"] == (
        "its failure has no progress report; another program ran it."
    )
    assert status["alerts"][-1] == "It failed: foreign words. Fix the cause, then restart it."
    response = await crowd.served.api.post(f"/api/restart/crowd-details-{name}")
    assert (response.status_code, errors(response)) == (
        409,
        [f"crowd-details-{name} cannot be restarted: it takes one input, a JSON object; it got 0."],
    )


@pytest.mark.parametrize("name", PAYLOADS)
async def test_what_another_programs_worker_answers_is_told(crowd: Crowd, name: str) -> None:
    status = await crowd.status(f"query-{name}")
    assert (status["status"], status["progress"]) == ("running", None)
    assert status["progressMissing"] == (
        "its worker's answer is not a progress report; another program runs it."
    )
    response = await crowd.served.api.post(
        f"/api/decide/crowd-query-{name}", {"step": "character", "choice": "resend"}
    )
    assert response.status_code == 409


@pytest.mark.parametrize("name", PAYLOADS)
async def test_heartbeats_of_another_type_tell_nothing(crowd: Crowd, name: str) -> None:
    (attempt,) = (await crowd.status(f"beat-{name}"))["attempts"]
    assert attempt["trouble"] == ("a text" if name == "text" else None)


async def test_one_that_temporal_itself_paused_is_shown_as_that(crowd: Crowd) -> None:
    client = crowd.served.bench.lab.client
    await client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace=client.namespace, workflow_id="crowd-memo-text", reason="by another"
        )
    )
    status = await crowd.status("memo-text")
    assert status["status"] == "running"
    assert status["progressMissing"] == ("Temporal allows no query while the workflow is paused.")
    assert status["alerts"] == [
        "It was paused in Temporal: resume it by temporal workflow unpause."
    ]
    assert len(await crowd.listed(100)) == len(crowd.shown)


async def test_no_route_answers_with_a_defect(crowd: Crowd) -> None:
    http = crowd.served.api.http
    decision = {"step": "character", "choice": "resend"}
    body = request_of(specs.single("crowd"))

    async def tried(name: str) -> list[httpx.Response]:
        path = quote(name, safe="")
        return [
            await http.get(f"/api/status/{path}"),
            await http.head(f"/api/status/{path}"),
            await http.post(f"/api/decide/{path}", json=decision),
            *[await http.post(f"/api/{verb}/{path}") for verb in CONTROLS],
            await http.post(START, json={**body, "operationId": name}),
        ]

    answers = await asyncio.gather(*map(tried, crowd.ids))
    for response in itertools.chain.from_iterable(answers):
        assert response.status_code < 500 or response.headers.get("Retry-After"), response.text
        assert response.status_code != 500
        assert response.request.method == "HEAD" or response.is_success or errors(response)
