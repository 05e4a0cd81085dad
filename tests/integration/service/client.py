"""The service's process, and what a client of it may do."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx

from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.waiting import wait_until
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench

SERVICE_ARGV = (sys.executable, "-m", "workflows.service")

Json = dict[str, Any]


def service_child(
    bench: Bench, run_tag: str, name: str, port: Port, settings: Mapping[str, str]
) -> Child:
    """The service's process before a bench's Temporal server."""
    scratch = bench.folder.parent / "scratch"
    environment = {
        "SERVICE_PORT": str(port.number),
        **bench.lab.stack.temporal.worker_environment,
        "TEMPORAL_CONFIG_FILE": str(scratch / "temporal.toml"),
        **settings,
    }
    return Child(
        name=name,
        argv=SERVICE_ARGV,
        environment=child_environment(run_tag, scratch, environment),
        folder=scratch,
        log=bench.folder / "logs" / f"{name}.log",
        journal=bench.lab.journal,
    )


def request_of(spec: VideoSpec) -> Json:
    """The body that asks for it."""
    config: Json = {"characterPrompt": spec.character_prompt}
    if spec.workflow_type == "SingleVideo":
        (config["videoPrompt"],) = spec.video_prompts
        return {"templateType": "single", "config": config}
    config["videoPrompts"] = list(spec.video_prompts)
    return {"templateType": "series", "config": config}


class ServiceClient:
    """Requests to a running service."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        limits = httpx.Limits(max_connections=None)
        self.http = httpx.AsyncClient(
            base_url=url, headers=headers, trust_env=False, timeout=30, limits=limits
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def lives(self) -> bool:
        """Whether it answers; False also where nothing does."""
        try:
            return (await self.http.get("/health")).is_success
        except httpx.TransportError:
            return False

    async def post(self, path: str, body: object = None) -> httpx.Response:
        """Post; without a body for the controls."""
        if body is None:
            return await self.http.post(path)
        return await self.http.post(path, json=body)

    async def start(self, spec: VideoSpec) -> httpx.Response:
        """Start an operation under the id that is expected; it must be accepted."""
        body = {**request_of(spec), "operationId": spec.workflow_id}
        response = await self.post("/api/template-workflow", body)
        assert response.status_code == 202, response.text
        return response

    async def control(self, verb: str, spec: VideoSpec) -> httpx.Response:
        """Pause, resume, cancel or restart it."""
        return await self.post(f"/api/{verb}/{spec.workflow_id}")

    async def status(self, spec: VideoSpec) -> Json:
        """Its status; it must be told."""
        response = await self.http.get(f"/api/status/{spec.workflow_id}")
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    async def until(self, spec: VideoSpec, condition: Callable[[Json], object], what: str) -> Json:
        """Wait until its status is so; the status."""
        answers: list[Json] = []

        async def holds() -> bool:
            answers.append(await self.status(spec))
            return bool(condition(answers[-1]))

        await wait_until(
            holds, what=f"{spec.workflow_id}: {what}", deadline_seconds=DEADLINE_SECONDS
        )
        return answers[-1]

    async def ended(self, spec: VideoSpec, status: str = "completed") -> Json:
        """Wait until it has ended so; its status."""
        answer = await self.until(spec, lambda now: now["status"] != "running", what="it ends")
        assert answer["status"] == status, answer
        return answer


def errors(response: httpx.Response) -> list[str]:
    """The sentences of an answer in the one shape of all errors."""
    answer = response.json()
    assert list(answer) == ["errors"], answer
    sentences: list[str] = answer["errors"]
    assert sentences
    assert all(sentence for sentence in sentences)
    return sentences


_HEALTH = """
import sys, time, urllib.request
slowest, began, is_first = 0.0, None, True
try:
    while True:
        began = time.monotonic()
        urllib.request.urlopen(sys.argv[1] + "/health", timeout=30).read()
        if is_first:
            print("asking", flush=True)
        else:
            slowest = max(slowest, time.monotonic() - began)
        began, is_first = None, False
        time.sleep(0.01)
except KeyboardInterrupt:
    print(max(slowest, time.monotonic() - began if began else 0.0))
"""
"""Asks again and again until it is interrupted, in a process of its own: this one is busy."""


@asynccontextmanager
async def slowest_health(url: str) -> AsyncIterator[list[float]]:
    """Asks for `/health` all through a block; the list then has the longest wait, in seconds."""
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HEALTH, url), stdout=asyncio.subprocess.PIPE
    )
    found: list[float] = []
    try:
        assert asking.stdout
        assert await asking.stdout.readline() == b"asking\n"
        yield found
        asking.send_signal(signal.SIGINT)
        told, _ = await asking.communicate()
        found.append(float(told))
    finally:
        if asking.returncode is None:
            asking.kill()
            await asking.wait()
