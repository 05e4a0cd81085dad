"""A Temporal server that dies and comes back amid many requests: each starts once, or is told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.integration.conftest import BenchIn
from tests.integration.service.client import errors, request_of
from tests.integration.service.conftest import Serve, Served
from tests.integration.workflows.bench import Bench
from workflows.service.errors import RETRY_AFTER_SECONDS
from workflows.service.temporal import REQUEST_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUESTS = 200
START = "/api/template-workflow"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lasting(
    bench_in: BenchIn, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A service before a server whose data outlive it; nobody works."""
    folder = tmp_path_factory.mktemp("lasting")
    async with bench_in(folder, StackSpec()) as bench, serve(bench) as served:
        yield served


async def post(served: Served, name: str) -> tuple[str, httpx.Response]:
    headers = {"Idempotency-Key": name}
    body = request_of(specs.single(name))
    return name, await served.api.http.post(START, json=body, headers=headers)


async def insist(served: Served, name: str) -> httpx.Response:
    """Post until it is answered, as a client does that is told to try again."""
    answers: list[httpx.Response] = []

    async def is_answered() -> bool:
        answers.append((await post(served, name))[1])
        if answers[-1].status_code != 503:
            return True
        assert answers[-1].headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
        return False

    await wait_until(
        is_answered,
        what=f"{name} is answered",
        deadline_seconds=40,
        interval_seconds=RETRY_AFTER_SECONDS,
    )
    return answers[-1]


async def runs(bench: Bench, prefix: str) -> Counter[str]:
    """How many runs Temporal has of each id that begins so."""
    listed = bench.lab.client.list_workflows(f"WorkflowId STARTS_WITH '{prefix}'")
    return Counter([execution.id async for execution in listed])


async def test_without_a_worker_it_is_not_ready(lasting: Served) -> None:
    response = await lasting.api.http.get("/ready")
    assert response.status_code == 503
    assert errors(response) == [
        "no worker polls the task queue 'video'; start one: python -m workflows.worker"
    ]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("outage", ["short", "long"])
async def test_of_200_requests_during_a_restart_each_answered_one_exists_once(
    lasting: Served, outage: str
) -> None:
    server = lasting.bench.lab.stack.server
    names = [f"{outage}-{n:03}" for n in range(REQUESTS)]
    tasks = [asyncio.create_task(post(lasting, name)) for name in names]
    await wait_until(
        lambda: sum(task.done() for task in tasks) >= REQUESTS // 10,
        what="some are answered",
        deadline_seconds=20,
        interval_seconds=0.001,
    )
    await server.child.kill()
    assert not all(task.done() for task in tasks)
    if outage == "long":
        await wait_until(
            lambda: any(task.done() and task.result()[1].status_code == 503 for task in tasks),
            what="one is told of the outage",
            deadline_seconds=20,
        )
    await server.start()
    answers = dict(await asyncio.gather(*tasks))
    statuses = Counter(response.status_code for response in answers.values())
    lasting.bench.lab.note(f"answers to the {outage} outage: {dict(statuses)}")
    assert statuses[202] + statuses[503] == REQUESTS
    assert outage == "short" or statuses[503]
    refused = {name: r for name, r in answers.items() if r.status_code == 503}
    for response in refused.values():
        assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
        assert len(errors(response)) == 1

    again = await asyncio.gather(*(insist(lasting, name) for name in refused))
    assert {response.status_code for response in again} <= {202}
    assert {response.json()["operationId"] for response in again} == set(refused)

    wanted = Counter(names)

    async def all_exist_once() -> bool:
        return await runs(lasting.bench, outage) == wanted

    await wait_until(all_exist_once, what="each exists once", deadline_seconds=20)


async def test_the_same_key_200_times_at_once_starts_one(lasting: Served) -> None:
    answers = await asyncio.gather(*(insist(lasting, "one-for-all") for _ in range(REQUESTS)))
    assert {response.status_code for response in answers} == {202}
    assert {response.json()["operationId"] for response in answers} == {"one-for-all"}

    async def exists_once() -> bool:
        return await runs(lasting.bench, "one") == {"one-for-all": 1}

    await wait_until(exists_once, what="it exists once", deadline_seconds=20)


async def test_while_the_server_is_paused_each_route_answers_503_in_time(lasting: Served) -> None:
    """Its connections stand, and nothing comes by them."""
    http = lasting.api.http
    assert (await http.get("/api/operations")).is_success
    body = request_of(specs.single("while-paused"))
    server = lasting.bench.lab.stack.server.child
    server.pause()
    try:
        began = time.monotonic()
        replies = asyncio.gather(
            http.get("/ready"),
            http.get("/api/operations"),
            http.get("/api/status/some"),
            http.post(START, json=body, headers={"Idempotency-Key": "while-paused"}),
            http.post("/api/decide/some", json={"step": "character", "choice": "resend"}),
            *(http.post(f"/api/{verb}/some") for verb in ("pause", "resume", "cancel", "restart")),
        )
        healths = []
        while not replies.done():
            before = time.monotonic()
            assert (await http.get("/health")).is_success
            healths.append(time.monotonic() - before)
            await asyncio.sleep(0.05)
        took_seconds = time.monotonic() - began
    finally:
        server.resume()
    for response in await replies:
        assert response.status_code == 503, response.url
        assert response.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
        assert len(errors(response)) == 1
    assert took_seconds < REQUEST_SECONDS + 3
    assert max(healths) < 1
