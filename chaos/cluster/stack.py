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

from temporalio.client import Client

from chaos.cluster.api import ApiServer
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
    """Where a stack lives and what it runs: `scratch` goes after the run, `evidence` is kept."""

    mark: str
    scratch: Path
    evidence: Path
    temporal_cli: Path
    worker_argv: Sequence[str] = WORKER_ARGV


class Stack:
    """The processes of one experiment. Use it by `async with`; it leaves none behind."""

    def __init__(self, spec: StackSpec, place: Place, journal: Journal) -> None:
        self._place = place
        self._journal = journal
        # A key for this stack alone: wherever it turns up, a secret has leaked.
        self.api_key = f"{CANARY}{secrets.token_hex(12)}"
        self.ledger_url = f"sqlite:///{place.scratch / 'paid.db'}"
        self.workers: list[WorkerProcess] = []
        server_port, api_port = Port(), Port()
        database = place.scratch / "temporal.db" if spec.persistent else None
        self.server = TemporalServer(
            self._child(
                "temporal-server",
                TemporalServer.argv(place.temporal_cli, server_port, database, spec.dynamic_config),
            ),
            server_port,
        )
        self.api = ApiServer(
            self._child(
                "fake-api",
                ApiServer.argv(api_port, place.evidence / "ledger.jsonl"),
                {KEY_VARIABLE: self.api_key},
            ),
            api_port,
            FakeApi(f"http://{api_port.address}"),
        )
        self.client: Client

    async def __aenter__(self) -> Self:
        try:
            (self._place.scratch / "temporal.toml").touch()
            await asyncio.gather(self.server.start(), self.api.start())
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
            "GEMINI_API_KEY": api_key or self.api_key,
            "GOOGLE_GEMINI_BASE_URL": f"http://{self.api.port.address}",
            "GEMINI_IMAGE_MODEL": REFERENCE_IMAGE_MODEL,
            "GEMINI_VIDEO_MODEL": REFERENCE_VIDEO_MODEL,
            "VIDEO_POLL_SECONDS": "0.2",
            "ARTIFACTS_DIR": str(self._place.evidence / "artifacts"),
            "LEDGER_URL": self.ledger_url,
            "PAY_WHILE_LOCKED": self._place.mark,
            "IMAGE_DEADLINE_SECONDS": PAID_DEADLINE_SECONDS,
            "VIDEO_START_DEADLINE_SECONDS": PAID_DEADLINE_SECONDS,
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
        children += [self.api.child, self.server.child]
        with contextlib.suppress(RuntimeError):
            await self.api.control.aclose()
        await asyncio.gather(*(child.discard() for child in children))
        for port in (self.server.port, self.api.port):
            port.release()
