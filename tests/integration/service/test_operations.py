"""Every route on real workflows: what is started, shown, steered, decided and restarted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.specs import VideoSpec
from tests.integration.service.client import Json, errors, request_of
from tests.integration.service.conftest import Served
from tests.integration.workflows.bench import DEADLINE_SECONDS
from workflows.models import SingleVideoInput

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIDEO_1 = "video-001"
START = "/api/template-workflow"


def names(status: Json) -> list[str]:
    return [point["name"] for point in status["progress"]["checkpoints"]]


async def refuse(served: Served, call: Call, prompt: str) -> None:
    """Have the provider refuse the next request of a prompt for good."""
    rule = FaultRule(call=call, kind=FaultKind.STATUS, status=400, match=prompt)
    await served.bench.lab.api.add_rule(rule)


async def lose_reply(served: Served, call: Call, prompt: str) -> None:
    """Have the connection reset after the next request of a prompt was billed."""
    rule = FaultRule(call=call, kind=FaultKind.RESET, when=When.AFTER_BILLING, match=prompt)
    await served.bench.lab.api.add_rule(rule)


async def runs_of(served: Served, operation_id: str) -> int:
    """How many runs Temporal has of that id, once its visibility has caught up with one."""
    count = 0

    async def seen() -> bool:
        nonlocal count
        count = (
            await served.bench.lab.client.count_workflows(f"WorkflowId = '{operation_id}'")
        ).count
        return count > 0

    await wait_until(seen, what=f"{operation_id} is listed", deadline_seconds=DEADLINE_SECONDS)
    return count


# Start


async def test_a_single_completes_and_shows_all_it_made(served: Served) -> None:
    spec = specs.single("http-single")
    response = await served.api.start(spec)
    assert response.json() == {
        "operationId": "http-single",
        "statusUrl": "/api/status/http-single",
    }
    assert response.headers["Location"] == "/api/status/http-single"
    status = await served.api.ended(spec)
    progress = status["progress"]
    assert (status["type"], status["videos"], status["alerts"]) == ("single", 1, [])
    assert (progress["stage"], progress["progressPercent"]) == ("complete", 100)
    assert (progress["costUsd"], progress["possibleWasteUsd"]) == ("1.239", "0")
    assert names(status) == list(spec.checkpoints)
    assert all(point["at"].endswith("Z") for point in progress["checkpoints"])
    assert progress["artifacts"] == ["http-single/character.png", "http-single/video-001.mp4"]
    assert all((served.bench.artifacts / path).exists() for path in progress["artifacts"])
    assert status["closedAt"] > status["startedAt"]


async def test_a_series_completes(served: Served) -> None:
    spec = specs.series("http-series", videos=2)
    await served.api.start(spec)
    status = await served.api.ended(spec)
    assert (status["type"], status["videos"]) == ("series", 2)
    assert names(status) == list(spec.checkpoints)
    assert status["progress"]["costUsd"] == "2.439"


async def test_the_same_request_starts_one_operation_while_it_runs_and_after(
    served: Served,
) -> None:
    spec = specs.single("http-twice")
    halt = await served.held_at_its_image(spec)
    first = await served.api.start(spec)
    second = await served.api.http.post(
        START, json=request_of(spec), headers={"Idempotency-Key": spec.workflow_id}
    )
    assert (second.status_code, second.json()) == (202, first.json())
    await halt.resume()
    await served.api.ended(spec)
    third = await served.api.start(spec)
    assert third.json() == first.json()
    assert await runs_of(served, spec.workflow_id) == 1
    assert await served.bench.billed(spec) == list(spec.prompts)


async def test_the_same_id_with_another_request_is_refused(served: Served) -> None:
    spec = specs.single("http-taken")
    await served.api.start(spec)
    other = {**request_of(specs.single("http-other")), "operationId": spec.workflow_id}
    response = await served.api.post(START, other)
    assert response.status_code == 409
    assert errors(response) == ["the id 'http-taken' belongs to another request; choose another."]


async def test_an_operation_started_by_other_means_is_the_same_if_its_prompts_are(
    served: Served,
) -> None:
    spec = specs.series("http-by-cli", videos=1)
    await served.bench.lab.start(spec)
    await served.api.start(spec)
    other = {**request_of(specs.single("http-other")), "operationId": spec.workflow_id}
    assert (await served.api.post(START, other)).status_code == 409


async def test_workflows_of_other_types_are_neither_shown_nor_touched(served: Served) -> None:
    await served.bench.lab.client.start_workflow("Foreign", id="foreign", task_queue="nobody")
    foreign = VideoSpec(
        workflow_id="foreign",
        workflow_type="SingleVideo",
        character_prompt="c",
        video_prompts=("v",),
        made=2,
        checkpoints=(),
    )
    for verb in ("pause", "resume", "cancel", "restart"):
        assert (await served.api.control(verb, foreign)).status_code == 404
    assert (await served.api.http.get("/api/status/foreign")).status_code == 404
    taken = await served.api.post(START, {**request_of(foreign), "operationId": "foreign"})
    assert taken.status_code == 409
    assert (await served.bench.lab.client.get_workflow_handle("foreign").describe()).status == 1


# Unknown, and too late


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "restart"])
async def test_an_unknown_operation_is_not_found(served: Served, verb: str) -> None:
    response = await served.api.control(verb, specs.single("http-nobody"))
    assert response.status_code == 404
    assert errors(response) == ["there is no operation 'http-nobody'."]


async def test_what_has_ended_cannot_be_steered(served: Served) -> None:
    spec = specs.single("http-over")
    await served.api.start(spec)
    await served.api.ended(spec)
    for verb in ("pause", "resume", "cancel"):
        response = await served.api.control(verb, spec)
        assert response.status_code == 409
        assert errors(response) == ["http-over has ended already (completed)."]
    response = await served.api.control("restart", spec)
    assert response.status_code == 409
    assert errors(response) == [
        "http-over is completed; only one that ended without completing can be restarted."
    ]
    decision = {"step": VIDEO_1, "choice": "resend"}
    assert (await served.api.post("/api/decide/http-over", decision)).status_code == 409


# Pause, resume, cancel, restart


async def test_a_pause_holds_the_next_step_until_it_is_resumed(served: Served) -> None:
    spec = specs.single("http-paused")
    halt = await served.held_at_its_image(spec)
    response = await served.api.control("pause", spec)
    assert (response.status_code, response.json()["operationId"]) == (202, "http-paused")
    await halt.resume()
    paused = await served.api.until(spec, lambda now: len(names(now)) == 2, what="the character")
    assert paused["progress"]["paused"] is True
    assert await served.bench.requested(spec) == [(Call.IMAGE, spec.character_prompt)]
    assert (await served.api.control("resume", spec)).status_code == 202
    assert (await served.api.ended(spec))["progress"]["paused"] is False


async def test_a_canceled_operation_keeps_what_it_made_and_is_restarted_for_free(
    served: Served,
) -> None:
    spec = specs.single("http-canceled")
    halt = await served.held_at_its_image(spec)
    assert (await served.api.control("cancel", spec)).status_code == 202
    await halt.resume()
    canceled = await served.api.ended(spec, "canceled")
    assert names(canceled) == ["started", "character_generated"]
    assert canceled["progress"]["stage"] == "canceled"
    assert (await served.api.control("restart", spec)).status_code == 202
    done = await served.api.ended(spec)
    assert done["progress"]["costUsd"] == "1.239"
    assert await served.bench.billed(spec) == list(spec.prompts)


async def test_a_failed_operation_is_restarted_without_paying_twice(served: Served) -> None:
    spec = specs.series("http-failed", videos=2)
    await refuse(served, Call.VIDEO_START, spec.video_prompts[1])
    await served.api.start(spec)
    failed = await served.api.ended(spec, "failed")
    assert names(failed) == ["started", "character_generated", "video_1_complete"]
    assert failed["progress"]["failure"].startswith("video 2 of 2 failed: ")
    (alert,) = failed["alerts"]
    assert alert.startswith("It failed: video 2 of 2 failed: ")
    assert alert.endswith("Fix the cause, then restart it.")
    assert (await served.api.control("restart", spec)).status_code == 202
    done = await served.api.ended(spec)
    assert names(done) == list(spec.checkpoints)
    assert done["videos"] == 2
    assert await served.bench.billed(spec) == list(spec.prompts)
    again = await served.api.start(spec)
    assert again.status_code == 202


async def test_a_series_of_many_runs_is_one_operation_and_restarts_whole(served: Served) -> None:
    spec = specs.series("http-long", videos=8)
    await refuse(served, Call.VIDEO_START, spec.video_prompts[-1])
    await served.api.start(spec)
    failed = await served.api.ended(spec, "failed")
    assert (failed["videos"], len(failed["progress"]["artifacts"])) == (8, 8)
    assert await runs_of(served, spec.workflow_id) > 1
    again = await served.api.start(spec)  # the same request, though its input has grown since
    assert again.json()["operationId"] == spec.workflow_id
    assert (await served.api.control("restart", spec)).status_code == 202
    done = await served.api.ended(spec)
    assert names(done) == list(spec.checkpoints)
    assert await served.bench.billed(spec) == list(spec.prompts)
    listed = [one["operationId"] for page in await pages(served, limit=100) for one in page]
    assert listed.count(spec.workflow_id) == 1


async def test_a_running_operation_is_not_restarted(served: Served) -> None:
    spec = specs.single("http-running")
    halt = await served.held_at_its_image(spec)
    response = await served.api.control("restart", spec)
    assert response.status_code == 409
    assert errors(response) == [
        "http-running is running; only one that ended without completing can be restarted."
    ]
    await halt.resume()


async def test_a_terminated_operation_is_shown_and_restarted(served: Served) -> None:
    spec = specs.single("http-terminated")
    halt = await served.held_at_its_image(spec)
    await served.bench.handle(spec).terminate(reason="by hand")
    await halt.resume()
    status = await served.api.ended(spec, "terminated")
    assert names(status) == ["started"]
    assert status["alerts"] == [
        "It was terminated (by hand). Restart it to continue with what was made."
    ]
    assert (await served.api.control("restart", spec)).status_code == 202
    await served.api.ended(spec)
    assert await served.bench.billed(spec) == list(spec.prompts)


# Attempts


async def test_a_second_attempt_is_an_alert(served: Served) -> None:
    spec = specs.single("http-retried")
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, match=spec.character_prompt)
    await served.bench.lab.api.add_rule(rule)
    await served.api.start(spec)
    status = await served.api.until(
        spec, lambda now: now["attempts"] and now["attempts"][0]["attempt"] == 2, what="a retry"
    )
    (attempt,) = status["attempts"]
    assert (attempt["activity"], attempt["maxAttempts"]) == ("generate_character", 3)
    assert attempt["lastFailure"]
    assert attempt["nextAttemptAt"] > status["startedAt"]
    (alert,) = status["alerts"]
    assert alert.startswith("generate_character is at attempt 2 of 3; the last one failed: ")
    await served.api.control("cancel", spec)


# Decide


async def undecided(served: Served, spec: VideoSpec) -> Json:
    await lose_reply(served, Call.VIDEO_START, spec.video_prompts[0])
    await served.api.start(spec)
    return await served.api.until(
        spec, lambda now: now["progress"]["stage"] == "undecided", what="it asks"
    )


async def test_a_call_that_was_made_is_decided_and_billed_once(served: Served) -> None:
    spec = specs.single("http-made")
    status = await undecided(served, spec)
    call = status["progress"]["undecided"]
    assert (call["step"], call["item"], Decimal(call["costUsd"])) == (
        VIDEO_1,
        "video",
        Decimal("1.2"),
    )
    assert call["settleAt"] is None
    (alert,) = status["alerts"]
    assert alert.startswith("The video call of video-001 ($1.20) may have been billed without")
    assert alert.endswith("Decide: made, resend or give_up.")
    name = await served.bench.provider_operation(spec.video_prompts[0])
    body = {"step": VIDEO_1, "choice": "made", "providerOperation": name}
    assert (await served.api.post("/api/decide/http-made", body)).status_code == 202
    assert (await served.api.ended(spec))["progress"]["costUsd"] == "1.239"
    assert await served.bench.billed(spec) == list(spec.prompts)


async def test_a_call_that_is_sent_again_shows_its_possible_waste(served: Served) -> None:
    spec = specs.single("http-resent")
    await undecided(served, spec)
    body = {"step": VIDEO_1, "choice": "resend"}
    assert (await served.api.post("/api/decide/http-resent", body)).status_code == 202
    progress = (await served.api.ended(spec))["progress"]
    assert (progress["costUsd"], progress["possibleWasteUsd"]) == ("1.239", "1.20")


async def test_what_is_given_up_fails(served: Served) -> None:
    spec = specs.single("http-given-up")
    await undecided(served, spec)
    body = {"step": VIDEO_1, "choice": "give_up"}
    assert (await served.api.post("/api/decide/http-given-up", body)).status_code == 202
    assert "given up" in (await served.api.ended(spec, "failed"))["progress"]["failure"]


async def test_a_decision_that_does_not_fit_is_refused_with_its_reason(served: Served) -> None:
    spec = specs.single("http-misfit")
    await undecided(served, spec)
    body = {"step": "video-002", "choice": "resend"}
    response = await served.api.post("/api/decide/http-misfit", body)
    assert response.status_code == 409
    assert errors(response) == ["the open call belongs to 'video-001', not to 'video-002'."]
    # It was not even sent: the operation's own hint would tell of it.
    assert (await served.api.status(spec))["progress"]["hint"] is None
    await served.api.control("cancel", spec)


async def test_with_nothing_open_there_is_nothing_to_decide(served: Served) -> None:
    spec = specs.single("http-nothing-open")
    halt = await served.held_at_its_image(spec)
    body = {"step": VIDEO_1, "choice": "resend"}
    response = await served.api.post("/api/decide/http-nothing-open", body)
    assert response.status_code == 409
    assert errors(response) == ["there is nothing to decide now."]
    await halt.resume()


# The list


async def test_the_list_has_each_operation_once_over_all_its_pages(served: Served) -> None:
    failed = specs.single("list-failed-and-restarted")
    await refuse(served, Call.IMAGE, failed.character_prompt)
    await served.api.start(failed)
    await served.api.ended(failed, "failed")
    await served.api.control("restart", failed)
    await served.api.ended(failed)
    held = specs.single("list-running")
    halt = await served.bench.set_breakpoint(BreakAt.VIDEO, held.video_prompts[0])
    await served.api.start(held)
    await halt.reached(deadline_seconds=10)
    wanted = {failed.workflow_id: "completed", held.workflow_id: "running"}

    async def is_listed() -> bool:
        listed = [one for page in await pages(served, limit=1) for one in page]
        ids = [one["operationId"] for one in listed]
        assert len(ids) == len(set(ids))
        found = {one["operationId"]: one for one in listed}
        return all(found.get(i, {}).get("status") == status for i, status in wanted.items())

    await wait_until(is_listed, what="both are listed", deadline_seconds=DEADLINE_SECONDS)
    (first, *_), *_ = await pages(served, limit=100)
    assert (first["operationId"], first["status"]) == (held.workflow_id, "running")
    assert first["progress"]["progressPercent"] == 50
    assert "foreign" not in {
        one["operationId"] for page in await pages(served, 100) for one in page
    }
    await halt.resume()


async def pages(served: Served, limit: int) -> list[list[Json]]:
    """Every page of the list."""
    found: list[list[Json]] = []
    query: dict[str, str | int] = {"limit": limit}
    while True:
        response = await served.api.http.get("/api/operations", params=query)
        assert response.status_code == 200, response.text
        answer = response.json()
        found.append(answer["operations"])
        assert len(found[-1]) <= limit
        if not answer["nextPageToken"]:
            return found
        query["pageToken"] = answer["nextPageToken"]


async def test_a_page_token_that_is_damaged_is_refused(served: Served) -> None:
    response = await served.api.http.get("/api/operations", params={"limit": 1})
    token = response.json()["nextPageToken"]
    for wrong in ("x", "no token", token[:-4] + "AAAA", token + "AAAA", "é"):
        response = await served.api.http.get("/api/operations", params={"pageToken": wrong})
        assert response.status_code == 400, wrong
        (sentence,) = errors(response)
        assert sentence.startswith("pageToken was not issued by this service")


# Without a worker


async def test_without_a_worker_the_status_says_so(served: Served) -> None:
    given = SingleVideoInput(character_prompt="a", video_prompt="b")
    await served.bench.lab.client.start_workflow(
        "SingleVideo", given, id="http-lonely", task_queue="nobody"
    )
    lonely = specs.single("http-lonely")
    status = await served.api.status(lonely)
    assert (status["status"], status["progress"]) == ("running", None)
    assert status["progressMissing"] == ("no worker answers; start one: python -m workflows.worker")
    response = await served.api.post("/api/decide/http-lonely", {"step": "s", "choice": "resend"})
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert (await served.api.control("cancel", lonely)).status_code == 202
    # It could never end by itself, and would slow down every list of the tests that follow.
    await served.bench.handle(lonely).terminate()


async def test_it_is_ready(served: Served) -> None:
    response = await served.api.http.get("/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
