"""A whole stack: one Temporal, the target's services, any number of its workers."""

from __future__ import annotations

import asyncio
import copy
import itertools
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

from temporalio.client import Client

from chaos.environment.cluster import TemporalCluster
from chaos.environment.external import ExternalCluster
from chaos.environment.factory import ProcessFactory
from chaos.environment.keeper import WorkerKeeper
from chaos.environment.metrics import ports_in_a_row
from chaos.environment.readiness import Arrival, OpenPort, Polls, port_of, until_polled
from chaos.environment.server import DevFactory, TemporalServer, fixed_port
from chaos.environment.supervisor import Supervisor, SupervisorProcess
from chaos.environment.target import THERE_ALREADY, Placement, Service, ServiceProcess, Target
from chaos.environment.temporal import StackSpec, Temporal, TemporalFactory
from chaos.environment.versions import VersionName
from chaos.environment.ways import NotHereError, Way, Ways
from chaos.environment.wire import Link, PrivateLinks, WireServer
from chaos.environment.worker import WorkerProcess
from chaos.evidence.assertions import LOCAL_OUTPUT, assertions_file
from chaos.evidence.journal import Event, Journal
from chaos.evidence.samples import SampleFile
from chaos.process.child import CANARY, ChildError
from chaos.process.ports import Port
from chaos.process.spawner import Spawner

__all__ = ["NotHereError", "Stack", "StackConfig", "StackSpec", "WorkerOptions"]


@dataclass(frozen=True)
class StackConfig:
    """Where a stack keeps its files and what it runs: `scratch` is removed after the run,
    `evidence` is kept, and so is `run_folder`, which outlives the case. Its Temporal is a dev
    server of `temporal_cli`, unless a `temporal_factory` makes another. `worker_argv` is the user's
    own command line for this run. A `spawner` starts Python programs in less time. The target's
    processes run in `project`, by default in the project of the current folder. With `measured`
    workers serve their SDK metrics, if the target says how.
    """

    run_tag: str
    scratch: Path
    evidence: Path
    temporal_cli: Path | None
    worker_argv: Sequence[str] = ()
    run_folder: Path | None = None
    temporal_factory: TemporalFactory | None = None
    name: str = "stack"
    spawner: Spawner | None = None
    project: Path | None = None
    measured: bool = False


class WorkerOptions(TypedDict, total=False):
    """How a worker is started; all optional. `kind`: one of the target's other kinds. `task_queue`
    and `argv`: instead of the target's own. `settings`: additions to its environment. `links`: what
    it reaches through a link of its own, on which toxics can be put (`SERVER`, a service). `wire`:
    it speaks to Temporal, and to services over HTTP, by lines of its own whose calls can be held.
    `namespace`: on the wire, the namespace of its requests, which is created for them. `version`:
    one of the target's versions, `versioned`: it polls as such in Worker Versioning. `packets`: it
    is in a network of its own, between which and the server and services packets can be lost.
    """

    kind: str | None
    task_queue: str | None
    argv: Sequence[str] | None
    settings: Mapping[str, str] | None
    links: Sequence[str]
    wire: bool
    namespace: str
    version: VersionName | None
    versioned: bool
    packets: bool


class Stack:
    """The processes of one experiment. Use it by `async with`; it leaves none behind."""

    def __init__(
        self, spec: StackSpec, target: Target, config: StackConfig, journal: Journal
    ) -> None:
        self._spec = target.placed(spec)
        self._config = config
        self.target = target
        self._factory = ProcessFactory(
            run_tag=config.run_tag,
            scratch=config.scratch,
            logs=config.evidence / "logs",
            journal=journal,
            name=config.name,
            spawner=config.spawner,
        )
        # Of this stack alone: wherever it turns up, a secret has leaked.
        self.secret = f"{CANARY}{secrets.token_hex(12)}"
        self.samples = SampleFile(config.evidence)
        self.metrics_ports: dict[str, list[Port]] = {}
        self.workers: list[WorkerProcess] = []
        self.supervisors: list[Supervisor] = []
        self.placement = Placement(
            target,
            self._factory,
            config.evidence,
            config.run_folder or config.scratch,
            self.secret,
            config.project,
        )
        self.services: dict[str, ServiceProcess] = {}
        self._ways = Ways(self._factory, config.evidence, self.services, target.port)
        self._numbers = itertools.count(1)
        self._supervisor_numbers = itertools.count(1)
        self._temporal: Temporal | None = None
        self._own: list[str] = []
        self._arrivals: list[Arrival] = []
        self.client: Client

    @property
    def temporal(self) -> Temporal:
        """Its Temporal; not available before the stack starts."""
        if self._temporal is None:
            raise NotHereError("a stack that was not started has no Temporal.")
        return self._temporal

    @property
    def server(self) -> TemporalServer:
        """The dev server; other topologies have none."""
        if not isinstance(self._temporal, TemporalServer):
            raise NotHereError("only a stack of the topology dev has a dev server.")
        return self._temporal

    @property
    def cluster(self) -> TemporalCluster:
        """The processes of a cluster of the topology postgres; others have none."""
        if not isinstance(self._temporal, TemporalCluster):
            raise NotHereError("only a stack of the topology postgres has a cluster of its own.")
        return self._temporal

    @property
    def links(self) -> dict[str, Link]:
        """The links that toxics can be put on, by names such as `worker-1>server`."""
        return self._ways.wire.links if self._ways.wire else {}

    def private_links(self, link: str) -> PrivateLinks:
        """The network of the client of a link. Raises NotHereError where that has none."""
        client = link.partition(">")[0]
        found = self._ways.wire.private.get(client) if self._ways.wire else None
        if found is None or link not in found.addresses:
            raise NotHereError(
                f"there is no link {link!r} whose packets can be lost: start its worker with "
                "packets=True, and name what it leads to as in worker-1>server."
            )
        return found

    @property
    def wire(self) -> WireServer:
        """The wire, which holds calls at boundaries; there is none before a worker is on it."""
        if self._ways.wire is None or not self._ways.wire.lines:
            raise NotHereError("no worker of this stack is on the wire: start it with wire=True.")
        return self._ways.wire

    @property
    def secrets(self) -> Sequence[str]:
        """What no file may contain: its own secret, the user's of a live service, and those by
        which an external cluster is reached.
        """
        live = self.target.live.secrets if self.target.live else ()
        temporal = self._temporal
        cluster = temporal.connection.secrets if isinstance(temporal, ExternalCluster) else ()
        return [self.secret, *live, *cluster]

    @property
    def evidence_folder(self) -> Path:
        """The folder for everything that is kept of the stack."""
        return self._config.evidence

    @property
    def task_queue(self) -> str:
        """The task queue of its workers, unless another is given."""
        return self.target.task_queue

    @property
    def task_queues(self) -> Sequence[str]:
        """All that its target names and its workers listen to, by the names that these have for
        the target.
        """
        known = [self.target.worker_kind(kind) for kind in (None, *self.target.kinds)]
        polled = [kind.ready.queues for kind in known if isinstance(kind.ready, Polls)]
        own = [
            *(queue for worker in self.workers for queue in (worker.task_queue, *worker.queues)),
            *(supervisor.task_queue for supervisor in self.supervisors),
        ]
        return list(
            dict.fromkeys(
                [
                    *(kind.task_queue for kind in known),
                    *(queue for queues in polled for queue in queues),
                    *(queue.removeprefix(self.temporal.prefix) for queue in own),
                ]
            )
        )

    def own(self, workflow_id: str) -> str:
        """The id under which one of the stack's workflows is started; it ends with the stack."""
        self._own.append(f"{self.temporal.prefix}{workflow_id}")
        return self._own[-1]

    def own_queue(self, task_queue: str) -> str:
        """The task queue that the stack has under that name. Workers that are there already poll
        their own.
        """
        own = "" if self.target.has_workers_already else self.temporal.prefix
        return f"{own}{task_queue}"

    def in_namespace(self, namespace: str) -> Self:
        """The same stack, whose client works in a namespace of a line. Only the stack itself ends
        what was started by either.
        """
        seen = copy.copy(self)
        seen.client = Client(**{**self.client.config(), "namespace": namespace})  # type: ignore[arg-type]  # as the SDK's own documentation copies a client
        return seen

    async def __aenter__(self) -> Self:
        try:
            (self._config.scratch / "temporal.toml").touch()
            if self.target.port and self._spec.wire:
                self._ways.fixed_port = fixed_port(self.target.port)
            self._temporal = temporal = await self._temporal_factory().make(
                self._spec, self._factory
            )
            _require_reachable(self.target, temporal)
            for service in self.target.services:
                self.services[service.name] = self.placement.service(service)
            await asyncio.gather(
                temporal.start(),
                *(service.start() for service in self.services.values()),
            )
            self.client = await self._connected(temporal)
            if self.target.has_workers_already:
                names = ", ".join(await until_polled(self.client, self.own_queue(self.task_queue)))
                self._factory.journal.add(Event.STAGE, f"workers are there already: {names}")
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

    async def start_worker(self, **options: Unpack[WorkerOptions]) -> WorkerProcess:
        """Start one more worker, and wait until it is ready. Raises TypeError for an unknown
        option.
        """
        self._require_offered(options)
        name = self._next_worker()
        way = await self._ways.linked(self.temporal, name, options.get("links", ()))
        worker = self._new_worker(name, await self._on_wire(name, way, options), options)
        await worker.start(self.client)
        return worker

    async def keep_workers(self, workers: int, **options: Unpack[WorkerOptions]) -> WorkerKeeper:
        """Start so many workers, restart each that dies, and wait until all are ready. They share
        their links; on the wire each has lines of its own. Raises TypeError for an unknown option.
        """
        self._require_offered(options)
        name = self._next_supervisor()
        linked = await self._ways.linked(self.temporal, name, options.get("links", ()))
        kept = [
            self._new_worker(own, await self._on_wire(own, linked, options), options)
            for own in [self._next_worker() for _ in range(workers)]
        ]
        keeper = WorkerKeeper(name, kept, self.client)
        self.supervisors.append(keeper)
        await keeper.start()
        return keeper

    async def start_supervisor(
        self, workers: int, *, arguments: Sequence[str] = (), **options: Unpack[WorkerOptions]
    ) -> SupervisorProcess:
        """Start the target's supervisor with so many workers; wait until all of them poll.

        They and the supervisor itself share their links and the lines of the wire. Raises
        NotHereError where the target has none, or a kind of workers is given.
        """
        self._require_offered(options)
        if options.get("kind"):
            raise NotHereError("this target's own supervisor starts workers of one kind alone.")
        if not self.target.supervisor:
            raise NotHereError("this target has no supervisor of its own: use keep_workers.")
        task_queue = options.get("task_queue") or self.task_queue
        name = self._next_supervisor()
        way = await self._ways.linked(self.temporal, name, options.get("links", ()))
        way = await self._on_wire(name, way, options)
        version = options.get("version")
        led = self._led(way, self._environment_of(task_queue, options), options)
        environment = {**self._asserting(name), **self._measured(name, way, workers), **led}
        own = options.get("argv") or self._own_argv(version)
        program = ("--command", shlex.join(own)) if own else ()
        whole = [*self.target.supervisor, "--workers", str(workers), *program, *arguments]
        # Its workers lead groups of their own, and it can be killed without them.
        child = self.placement.child(name, [*way.entering, *whole], environment, is_group=False)
        child.version = version
        supervisor = SupervisorProcess(child, workers, self.own_queue(task_queue), way.line)
        self.supervisors.append(supervisor)
        await supervisor.start(self.client)
        return supervisor

    def _next_worker(self) -> str:
        return f"worker-{next(self._numbers)}"

    def _next_supervisor(self) -> str:
        return f"fleet-{next(self._supervisor_numbers)}"

    async def _on_wire(self, client: str, way: Way, options: WorkerOptions) -> Way:
        """The way of a client: through lines of its own if it is on the wire, and out of a network
        of its own if its packets can be lost.
        """
        if options.get("wire") or self._spec.wire:
            namespace = options.get("namespace", "")
            way = await self._ways.on_wire(self.temporal, client, way, namespace)
        if options.get("packets"):
            way = await self._ways.in_own_network(self.temporal, client, way)
        return way

    def _new_worker(self, name: str, way: Way, options: WorkerOptions) -> WorkerProcess:
        """One more worker, not started yet."""
        kind = options.get("kind")
        if kind is not None and kind not in self.target.kinds:
            raise NotHereError(f"this target has no kind of worker named {kind!r}.")
        version = options.get("version")
        made_of = self.target.worker_kind(kind)
        task_queue = options.get("task_queue") or made_of.task_queue
        led = self._led(way, self._environment_of(task_queue, options), options)
        environment = {**self._asserting(name), **self._measured(name, way), **led}
        argv = options.get("argv") or self._worker_argv(kind, version)
        if way.entering and isinstance(made_of.ready, OpenPort):
            raise NotHereError(
                f"the port {made_of.ready.number}, which shows that a worker is ready, cannot be "
                "seen in a network of its own: say ready=Polls() or ready=LogLine(…)."
            )
        others = made_of.ready.queues if isinstance(made_of.ready, Polls) else ()
        worker = WorkerProcess(
            self.placement.child(name, [*way.entering, *argv], environment),
            self.own_queue(task_queue),
            ready=made_of.ready,
            queues=[self.own_queue(queue) for queue in others],
            arrivals=self._arrivals,
            server_port=port_of(environment["TEMPORAL_ADDRESS"]),
            line=way.line,
            assertions=assertions_file(self._config.evidence, name),
        )
        worker.child.version = version
        self.workers.append(worker)
        return worker

    def _require_offered(self, options: WorkerOptions) -> None:
        """Reject what there is not: unknown options, and versions that the target does not name."""
        _require_known(options)
        if self.target.has_workers_already:
            raise NotHereError(
                "this target's workers are there already, so none is started: name Target.worker "
                "for workers of the run's own."
            )
        versions, version = self.target.versions, options.get("version")
        if version is not None and version not in (versions.all if versions else {}):
            raise NotHereError(
                f"this target names no version {version!r}: name it in Target.versions."
            )
        if options.get("versioned") and not (version and versions and versions.deployment):
            raise NotHereError(
                "a versioned worker needs a version, and the target's versions need a worker "
                "deployment: name them in lab.worker and in Target.versions."
            )

    async def client_on_wire(self) -> Client:
        """One more connection of the harness, which passes the wire as workers on it do, so that
        what limits them limits it. Raises ChildError, WireError.
        """
        return self._speaking(await self._ways.client_on_wire(self.temporal))

    async def start_front(self, front: Service) -> ServiceProcess:
        """Start a service that speaks to Temporal as workers do, such as an HTTP API."""
        process = self.placement.service(front, self._temporal_environment(self.task_queue))
        self.services[front.name] = process
        await process.start()
        return process

    def _measured(self, name: str, way: Way, workers: int | None = None) -> dict[str, str]:
        """Where a worker, or each of so many of a supervisor, serves its SDK metrics. In a network
        of its own it could not be asked.
        """
        metrics = self.target.metrics
        if metrics is None or not self._config.measured or way.entering:
            return {}
        if workers is not None and not metrics.is_counted:
            return {}
        self.metrics_ports[name] = ports = ports_in_a_row(workers or 1)
        return metrics.setting(ports[0])

    def _asserting(self, name: str) -> dict[str, str]:
        """Where a process that uses an Antithesis SDK writes what it asserts of itself."""
        return {LOCAL_OUTPUT: str(assertions_file(self._config.evidence, name))}

    def _led(
        self, way: Way, environment: Mapping[str, str], options: WorkerOptions
    ) -> dict[str, str]:
        """The environment of a worker: the addresses of its way, and the user's additions."""
        services = self._service_variables(way.addresses)
        return {**way.over(environment, services), **(options.get("settings") or {})}

    def _service_variables(self, addresses: Mapping[str, str]) -> dict[str, str]:
        """How a worker finds the services that are at these addresses."""
        return {
            variable: value
            for name, address in addresses.items()
            if name in self.services
            for variable, value in self.services[name].variable(address).items()
        }

    async def _connected(self, temporal: Temporal) -> Client:
        """The harness's own connection, which speaks as the target's workers do."""
        return self._speaking(await temporal.connect())

    def _speaking(self, client: Client) -> Client:
        return Client(**{**client.config(), "data_converter": self.target.data_converter})  # type: ignore[arg-type]  # as the SDK's own documentation copies a client

    def _worker_argv(self, kind: str | None, version: VersionName | None) -> Sequence[str]:
        """The target's own program, or that which the user gave for this run in place of the main
        one.
        """
        if kind is None and version is None and self._config.worker_argv:
            return self._config.worker_argv
        return self.placement.worker(kind, version)

    def _own_argv(self, version: VersionName | None) -> Sequence[str]:
        """The workers' program that replaces the one which the target's supervisor starts."""
        if version is None:
            return self._config.worker_argv
        return self.placement.worker(version=version) if self.target.version(version).argv else ()

    def _environment_of(self, task_queue: str, options: WorkerOptions) -> dict[str, str]:
        """The environment of a worker, as the target and its version have it."""
        version, versions = options.get("version"), self.target.versions
        variables: Mapping[str, str] = {}
        if options.get("versioned") and version and versions:
            variables = versions.variables(version)
        return {
            **self.placement.settings(options.get("kind"), version),
            **variables,
            **self._service_variables({n: s.port.address for n, s in self.services.items()}),
            **self._temporal_environment(task_queue),
        }

    def _temporal_environment(self, task_queue: str) -> dict[str, str]:
        return {
            "TASK_QUEUE": self.own_queue(task_queue),
            "TEMPORAL_CONFIG_FILE": str(self._config.scratch / "temporal.toml"),
            **self.temporal.worker_environment,
        }

    def _temporal_factory(self) -> TemporalFactory:
        if self._config.temporal_factory:
            return self._config.temporal_factory
        if self._config.temporal_cli is None:
            raise NotHereError("a stack needs a Temporal CLI, or a temporal_factory.")
        return DevFactory(self._config.temporal_cli)

    async def _discard(self) -> None:
        self.samples.close()
        for port in itertools.chain.from_iterable(self.metrics_ports.values()):
            port.release()
        # Whatever becomes of one, the others end as well.
        ends = await asyncio.gather(
            *(supervisor.discard() for supervisor in self.supervisors),
            *(worker.child.discard() for worker in self.workers),
            self._ways.discard(),
            *(service.discard() for service in self.services.values()),
            *([self._temporal.discard(self._own)] if self._temporal else []),
            return_exceptions=True,
        )
        for error in ends:
            if isinstance(error, BaseException):
                raise error


def _require_reachable(target: Target, temporal: Temporal) -> None:
    """Raise ChildError where a target's workers are there already, on another Temporal."""
    if target.has_workers_already and not isinstance(temporal, ExternalCluster):
        raise ChildError(f"this target cannot run here: {THERE_ALREADY}.")


def _require_known(options: WorkerOptions) -> None:
    """Reject unknown options: Python does not, and an experiment without its settings proves
    nothing.
    """
    if unknown := sorted(set(options) - set(WorkerOptions.__annotations__)):
        known = ", ".join(WorkerOptions.__annotations__)
        raise TypeError(f"a worker has no option {unknown[0]!r}, only {known}")
