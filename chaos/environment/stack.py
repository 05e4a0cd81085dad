"""A whole stack: one Temporal, one fake API, any number of workers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from temporalio.client import Client

from chaos.environment.cluster import TemporalCluster
from chaos.environment.proxy import API, SERVER, ProxyServer, link_name
from chaos.environment.server import DevMaker, TemporalServer
from chaos.environment.site import Site
from chaos.environment.supervisor import FLEET_ARGV, FleetProcess
from chaos.environment.target import Premises, ServiceProcess
from chaos.environment.temporal import Maker, StackSpec, Temporal
from chaos.environment.worker import WORKER_ARGV, WorkerProcess
from chaos.evidence.journal import Journal
from chaos.process.child import CANARY
from chaos.process.ports import Port
from chaos.process.spawner import Spawner
from tests.chaos.video.api import ApiServer
from tests.chaos.video.fake_api.control import FakeApi
from tests.chaos.video.fake_api.settings import KEY_VARIABLE
from tests.chaos.video.live_api import LiveApi, LiveError
from workflows.ledger_place import sqlite_url
from workflows.policies import TASK_QUEUE
from workflows.pricing import REFERENCE_IMAGE_MODEL, REFERENCE_VIDEO_MODEL

__all__ = ["NotHereError", "Place", "Stack", "StackSpec"]

PAID_DEADLINE_SECONDS = "10"
"""Of a paid request. With the ledger's grace, shorter than heartbeat and retry together, so that
a call that was cut off can be settled as soon as its activity is tried again.
"""


class NotHereError(Exception):
    """A stack has no such part. The sentence says which, and where it would be."""


@dataclass(frozen=True)
class Place:
    """Where a stack lives and what it runs: `scratch` goes after the run, `evidence` is kept.

    Its Temporal is a dev server of `temporal_cli`, unless `maker` makes another. With `live` the
    workers pay the real API, and share one ledger, `live_ledger`, over the run. A `spawner` starts
    the suite's own programs in less time.
    """

    mark: str
    scratch: Path
    evidence: Path
    temporal_cli: Path | None
    worker_argv: Sequence[str] = WORKER_ARGV
    live: LiveApi | None = None
    live_ledger: Path | None = None
    maker: Maker | None = None
    name: str = "stack"
    spawner: Spawner | None = None


class Stack:
    """The processes of one experiment. Use it by `async with`; it leaves none behind."""

    def __init__(self, spec: StackSpec, place: Place, journal: Journal) -> None:
        self._spec = spec
        self._place = place
        self._site = Site(
            mark=place.mark,
            scratch=place.scratch,
            logs=place.evidence / "logs",
            journal=journal,
            name=place.name,
            # Another system's programs are executed as they are given.
            spawner=None if spec.system else place.spawner,
        )
        # A key for this stack alone: wherever it turns up, a secret has leaked.
        self.api_key = f"{CANARY}{secrets.token_hex(12)}"
        self.live = place.live
        ledger = sqlite_url(place.live_ledger or place.scratch / "paid.db")
        self.ledger_url = ledger.render_as_string(hide_password=False)
        self.workers: list[WorkerProcess] = []
        self.fleets: list[FleetProcess] = []
        self.links: dict[str, ProxyServer] = {}
        self._premises = Premises(spec.system, self._site, place.evidence) if spec.system else None
        self._api = None if place.live or spec.system else self._fake_api()
        self.services: dict[str, ServiceProcess] = {}
        self._temporal: Temporal | None = None
        self._own: list[str] = []
        self.client: Client

    @property
    def api(self) -> ApiServer:
        """The fake API; a live stack, or one of another system, has none."""
        if self._api is None:
            raise LiveError("a live stack, or one of another system, has no fake API.")
        return self._api

    @property
    def temporal(self) -> Temporal:
        """Its Temporal, wherever that runs; not before the stack has begun to start."""
        if self._temporal is None:
            raise NotHereError("a stack that was not started has no Temporal.")
        return self._temporal

    @property
    def server(self) -> TemporalServer:
        """The dev server; in other topologies there is none."""
        if not isinstance(self._temporal, TemporalServer):
            raise NotHereError("only a stack of the topology dev has a dev server.")
        return self._temporal

    @property
    def cluster(self) -> TemporalCluster:
        """The processes of a cluster; in other topologies there are none of ours."""
        if not isinstance(self._temporal, TemporalCluster):
            raise NotHereError("only a stack of the topology postgres has a cluster of its own.")
        return self._temporal

    @property
    def evidence_folder(self) -> Path:
        """Where all that is kept of the stack goes."""
        return self._place.evidence

    @property
    def has_api(self) -> bool:
        """Whether there is a fake API."""
        return self._api is not None

    @property
    def task_queue(self) -> str:
        """Where its workers listen, unless they are told otherwise."""
        return self._spec.system.task_queue if self._spec.system else TASK_QUEUE

    def own(self, workflow_id: str) -> str:
        """The id under which one of the stack's workflows is started; it ends with the stack."""
        self._own.append(f"{self.temporal.prefix}{workflow_id}")
        return self._own[-1]

    def own_queue(self, task_queue: str) -> str:
        """The task queue that the stack has under that name."""
        return f"{self.temporal.prefix}{task_queue}"

    async def __aenter__(self) -> Self:
        try:
            (self._place.scratch / "temporal.toml").touch()
            self._temporal = temporal = await self._maker().make(self._spec, self._site)
            self._engage_services()
            await asyncio.gather(
                temporal.start(),
                *([self._api.start()] if self._api else []),
                *(service.start() for service in self.services.values()),
            )
            self.client = await temporal.connect()
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
        task_queue: str | None = None,
        argv: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
        links: Sequence[str] = (),
    ) -> WorkerProcess:
        """Start one more worker, with `settings` over its environment; wait until it polls.

        It reaches what `links` names (`SERVER`, `API`, a service) through a proxy of its own.
        """
        task_queue = task_queue or self.task_queue
        name = f"worker-{len(self.workers) + 1}"
        environment = {
            **self._worker_environment(task_queue),
            **({"GEMINI_API_KEY": api_key} if api_key else {}),
            **await self._linked(name, links),
            **(settings or {}),
        }
        child = self._site.child(name, argv or self._worker_argv(), environment)
        worker = WorkerProcess(child, self.own_queue(task_queue))
        self.workers.append(worker)
        await worker.start(self.client)
        return worker

    async def start_fleet(
        self,
        workers: int,
        *,
        task_queue: str | None = None,
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        links: Sequence[str] = (),
    ) -> FleetProcess:
        """Start a fleet of so many workers; wait until all of them poll.

        They share the proxies of what `links` names, and so does the fleet itself.
        """
        task_queue = task_queue or self.task_queue
        name = f"fleet-{len(self.fleets) + 1}"
        environment = {
            **self._worker_environment(task_queue),
            **(self._fleet_environment() if self._premises else {}),
            **await self._linked(name, links),
            **(settings or {}),
        }
        worker = self._worker_argv()
        program = () if worker == WORKER_ARGV else ("--command", shlex.join(worker))
        argv = [*FLEET_ARGV, "--workers", str(workers), *program, *arguments]
        child = self._site.child(name, argv, environment)
        fleet = FleetProcess(child, workers, self.own_queue(task_queue))
        self.fleets.append(fleet)
        await fleet.start(self.client)
        return fleet

    async def _linked(self, client: str, links: Sequence[str]) -> dict[str, str]:
        """Start the proxies of a client's links; the variables by which it finds them."""
        journals = self._place.evidence / "network"
        upstreams = {
            SERVER: self.temporal.address,
            **({API: self._api.port.address} if self._api else {}),
            **{name: service.port.address for name, service in self.services.items()},
        }
        for end in links:
            if end not in upstreams:
                raise NotHereError(f"this stack has no {end!r} for a link to lead to.")
            journals.mkdir(exist_ok=True)
            name = link_name(client, end)
            self.links[name] = ProxyServer.before(self._site, name, upstreams[end], journals)
        started = {end: self.links[link_name(client, end)] for end in links}
        await asyncio.gather(*(proxy.start() for proxy in started.values()))
        addresses = {end: proxy.address for end, proxy in started.items()}
        return {
            **({"TEMPORAL_ADDRESS": addresses[SERVER]} if SERVER in addresses else {}),
            **({"GOOGLE_GEMINI_BASE_URL": f"http://{addresses[API]}"} if API in addresses else {}),
            **self._service_variables(addresses),
        }

    def _engage_services(self) -> None:
        if self._premises:
            for service in self._premises.system.services:
                self.services[service.name] = self._premises.service(service)

    def _service_variables(self, addresses: Mapping[str, str]) -> dict[str, str]:
        """How a worker finds the services that are at these addresses."""
        return {
            variable: value
            for name, address in addresses.items()
            if name in self.services
            for variable, value in self.services[name].variable(address).items()
        }

    def _worker_argv(self) -> Sequence[str]:
        """The program that the user gave for this run, or else that of the stack's system."""
        own = self._place.worker_argv
        return self._premises.worker() if self._premises and own == WORKER_ARGV else own

    def _worker_environment(self, task_queue: str) -> dict[str, str]:
        return {
            **(self._premises.settings() if self._premises else self._payer_environment()),
            **self._service_variables({n: s.port.address for n, s in self.services.items()}),
            "TASK_QUEUE": self.own_queue(task_queue),
            "TEMPORAL_CONFIG_FILE": str(self._place.scratch / "temporal.toml"),
            **self.temporal.worker_environment,
        }

    def _payer_environment(self) -> dict[str, str]:
        """What the suite's own workers need to pay, and to keep what they paid for."""
        return {
            **self._api_environment(),
            "ARTIFACTS_DIR": str(self._place.evidence / "artifacts"),
            "LEDGER_URL": self.ledger_url,
            "PAY_WHILE_LOCKED": self._place.mark,
        }

    def _fleet_environment(self) -> dict[str, str]:
        """What a fleet asks for, whether or not its workers pay anybody."""
        return {"GEMINI_API_KEY": self.api_key, "LEDGER_URL": self.ledger_url}

    def is_at_an_api(self) -> bool:
        """Whether a worker is connected to anything but the Temporal server."""
        alive = [worker.child.pid for worker in self.workers if worker.child.is_alive]
        port = int(self.temporal.address.rpartition(":")[2])
        return any(_is_connected_beyond(pid, port) for pid in alive)

    def _maker(self) -> Maker:
        if self._place.maker:
            return self._place.maker
        if self._place.temporal_cli is None:
            raise NotHereError("a stack needs a Temporal CLI, or another maker of its Temporal.")
        return DevMaker(self._place.temporal_cli)

    def _fake_api(self) -> ApiServer:
        port = Port()
        argv = ApiServer.argv(port, self._place.evidence / "ledger.jsonl")
        child = self._site.child("fake-api", argv, {KEY_VARIABLE: self.api_key})
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

    async def _discard(self) -> None:
        children = [worker.child for worker in self.workers]
        if self._api:
            children.append(self._api.child)
            with contextlib.suppress(RuntimeError):
                await self._api.control.aclose()
        await asyncio.gather(
            *(fleet.discard() for fleet in self.fleets),
            *(child.discard() for child in children),
            *(proxy.discard() for proxy in self.links.values()),
            *(service.discard() for service in self.services.values()),
            *([self._temporal.discard(self._own)] if self._temporal else []),
        )
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
