"""A whole stack on loopback: one Temporal server, one fake API, any number of workers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from temporalio.client import Client

from chaos.cluster.api import ApiServer
from chaos.cluster.live import LiveApi, LiveError
from chaos.cluster.server import NAMESPACE, TemporalServer
from chaos.cluster.worker import WORKER_ARGV, WorkerProcess
from chaos.fake_api.control import FakeApi
from chaos.fake_api.settings import KEY_VARIABLE
from chaos.journal import Journal
from chaos.ports import Port
from chaos.process import CANARY, Child, child_environment
from workflows.policies import TASK_QUEUE
from workflows.pricing import REFERENCE_IMAGE_MODEL, REFERENCE_VIDEO_MODEL

PAID_DEADLINE_SECONDS = "10"
"""Of a paid request. With the ledger's grace, shorter than heartbeat and retry together, so that
a call that was cut off can be settled as soon as its activity is tried again.
"""


@dataclass(frozen=True)
class StackSpec:
    """What a stack is made of. `persistent` False keeps the server's data in memory only."""

    persistent: bool = True
    dynamic_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a stack lives and what it runs: `scratch` goes after the run, `evidence` is kept.

    With `live` the workers pay the real API, and share one ledger, `live_ledger`, over the run.
    """

    mark: str
    scratch: Path
    evidence: Path
    temporal_cli: Path
    worker_argv: Sequence[str] = WORKER_ARGV
    live: LiveApi | None = None
    live_ledger: Path | None = None


class Stack:
    """The processes of one experiment. Use it by `async with`; it leaves none behind."""

    def __init__(self, spec: StackSpec, place: Place, journal: Journal) -> None:
        self._place = place
        self._journal = journal
        # A key for this stack alone: wherever it turns up, a secret has leaked.
        self.api_key = f"{CANARY}{secrets.token_hex(12)}"
        self.live = place.live
        self.ledger_url = f"sqlite:///{place.live_ledger or place.scratch / 'paid.db'}"
        self.workers: list[WorkerProcess] = []
        server_port = Port()
        database = place.scratch / "temporal.db" if spec.persistent else None
        self.server = TemporalServer(
            self._child(
                "temporal-server",
                TemporalServer.argv(place.temporal_cli, server_port, database, spec.dynamic_config),
            ),
            server_port,
        )
        self._api = None if place.live else self._fake_api()
        self.client: Client

    @property
    def api(self) -> ApiServer:
        """The fake API; a live stack has none."""
        if self._api is None:
            raise LiveError("a live stack has no fake API.")
        return self._api

    async def __aenter__(self) -> Self:
        try:
            (self._place.scratch / "temporal.toml").touch()
            starts = [self.server.start(), *([self._api.start()] if self._api else [])]
            await asyncio.gather(*starts)
            self.client = await self.server.connect()
        except BaseException:
            await self._discard()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._discard()

    async def start_worker(
        self,
        *,
        api_key: str | None = None,
        task_queue: str = TASK_QUEUE,
        argv: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> WorkerProcess:
        """Start one more worker, with `settings` over its environment; wait until it polls."""
        environment = {
            **self._api_environment(),
            **({"GEMINI_API_KEY": api_key} if api_key else {}),
            "ARTIFACTS_DIR": str(self._place.evidence / "artifacts"),
            "LEDGER_URL": self.ledger_url,
            "PAY_WHILE_LOCKED": self._place.mark,
            "TASK_QUEUE": task_queue,
            "TEMPORAL_ADDRESS": self.server.port.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": str(self._place.scratch / "temporal.toml"),
            **(settings or {}),
        }
        name = f"worker-{len(self.workers) + 1}"
        child = self._child(name, argv or self._place.worker_argv, environment)
        worker = WorkerProcess(child, task_queue)
        self.workers.append(worker)
        await worker.start(self.client)
        return worker

    def is_at_an_api(self) -> bool:
        """Whether a worker is connected to anything but the Temporal server."""
        alive = [worker.child.pid for worker in self.workers if worker.child.is_alive]
        return any(_is_connected_beyond(pid, self.server.port.number) for pid in alive)

    def _fake_api(self) -> ApiServer:
        port = Port()
        argv = ApiServer.argv(port, self._place.evidence / "ledger.jsonl")
        child = self._child("fake-api", argv, {KEY_VARIABLE: self.api_key})
        return ApiServer(child, port, FakeApi(f"http://{port.address}"))

    def _api_environment(self) -> dict[str, str]:
        """Which API the workers talk to: the fake one, with a made-up key, unless this is live."""
        if self.live:
            return self.live.worker_environment()
        return {
            "GEMINI_API_KEY": self.api_key,
            "GOOGLE_GEMINI_BASE_URL": f"http://{self.api.port.address}",
            "GEMINI_IMAGE_MODEL": REFERENCE_IMAGE_MODEL,
            "GEMINI_VIDEO_MODEL": REFERENCE_VIDEO_MODEL,
            "VIDEO_POLL_SECONDS": "0.2",
            "IMAGE_DEADLINE_SECONDS": PAID_DEADLINE_SECONDS,
            "VIDEO_START_DEADLINE_SECONDS": PAID_DEADLINE_SECONDS,
        }

    def _child(
        self, name: str, argv: Sequence[str], extra: Mapping[str, str] | None = None
    ) -> Child:
        return Child(
            name=name,
            argv=argv,
            environment=child_environment(self._place.mark, self._place.scratch, extra or {}),
            folder=self._place.scratch,
            log=self._place.evidence / "logs" / f"{name}.log",
            journal=self._journal,
        )

    async def _discard(self) -> None:
        children = [worker.child for worker in self.workers]
        children.append(self.server.child)
        if self._api:
            children.append(self._api.child)
            with contextlib.suppress(RuntimeError):
                await self._api.control.aclose()
        await asyncio.gather(*(child.discard() for child in children))
        self.server.port.release()
        if self._api:
            self._api.port.release()


def _is_connected_beyond(pid: int, port: int) -> bool:
    """Whether a process has a connection to any other port than this."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    peers = [c.raddr.port for c in connections if c.status == psutil.CONN_ESTABLISHED and c.raddr]
    return any(peer != port for peer in peers)
