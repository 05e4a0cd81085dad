"""A target: the workers and services under test, and everything that the harness knows of them. It
has no other knowledge of a system: what it can do for one target, it can do for any.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from chaos.environment.factory import ProcessFactory
from chaos.environment.metrics import Metrics
from chaos.environment.needs import Need
from chaos.environment.readiness import Polls
from chaos.environment.temporal import NAMESPACE, StackSpec
from chaos.environment.versions import Version, VersionName, Versions
from chaos.environment.worker import Ready, WorkerKind
from chaos.evidence.bills import Bill, Billing, Mode, PaidRequest, Refusal, SuiteEstimate
from chaos.evidence.case import Evidence, Reading, Timings
from chaos.evidence.spec import WorkflowSpec
from chaos.process.child import Child, nearest_project
from chaos.process.ports import Port

READY_DEADLINE_SECONDS = 30.0

EVIDENCE = "{evidence}"
"""In a command line or a setting: the case's folder, which is kept."""
SCRATCH = "{scratch}"
"""In a command line or a setting: a folder that is removed after the run."""
PORT = "{port}"
"""In a command line or a setting of a service: its port."""
SECRET = "{secret}"  # noqa: S105 - a placeholder
"""In a command line or a setting: a secret of this case only, which no evidence may contain."""


THERE_ALREADY = "its workers are there already, on a cluster of their own"
"""Of a target without a `worker`, for sentences."""


@dataclass(frozen=True)
class Service:
    """A process beside the workers, such as the double of a payment provider.

    `argv` and `settings` may hold `EVIDENCE`, `SCRATCH`, `SECRET` and `PORT`. It is ready when its
    port is open. The workers find it by `variable`, if they need to, which holds `url` with its
    address. `may_die` says that its records survive a SIGKILL, so that drawn
    schedules may kill it.
    """

    name: str
    argv: Sequence[str]
    variable: str | None = None
    url: str = "http://{address}"
    settings: Mapping[str, str] = field(default_factory=dict)
    may_die: bool = False

    @property
    def is_on_wire(self) -> bool:
        """Whether calls of a worker on the wire can be held: HTTP, at a variable's address."""
        return self.variable is not None and self.url.startswith("http://")


@dataclass(frozen=True)
class Conditions:
    """How a search runs workflows, in addition to what the target says: `prepare` gets the
    lab before the first of them starts, `settings` go over the environment of the workers.
    """

    prepare: Callable[[Any], Awaitable[None]] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Live:
    """That a target uses the real, paid service instead of a double. `secrets` are the user's: no
    evidence may contain one. `paid_usd` computes from the run's folder what its calls may have
    cost, those of interrupted cases included; None: nothing was paid.
    """

    budget_usd: Decimal
    secrets: Sequence[str] = field(repr=False)
    paid_usd: Callable[[Path], Decimal | None]
    step_deadline_seconds: float = 900.0


@dataclass(frozen=True)
class Up:
    """What `python -m chaos up` starts of a target, for trying it by hand, and what it prints.
    `target` replaces it there, such as one with slower doubles. `fronts` are services that start
    last and speak to Temporal as workers do, such as an HTTP API. `hints` are lines of text:
    `{name}` is the address of the service of that name, `{pid}` the process id of a worker.
    """

    target: Target
    fronts: Sequence[Service] = ()
    hints: str = ""


@dataclass(frozen=True)
class Target:
    """What is started, broken and judged.

    `worker` is the command line of one worker; empty where workers are there already, such as pods
    on an external cluster, which poll `task_queue` as it is. A worker that is started gets
    `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and `TASK_QUEUE`, what `settings` add, and those of the
    user's variables that `passed` names; its HOME is a scratch folder unless `HOME` is passed. It
    runs in `cwd`, which may be `SCRATCH`, by default the project's root, and `python` is that of
    the project's `.venv` or `venv`, where it has one. It is `ready` when it is seen to poll,
    whatever it polls for, unless something else is said. `kinds` are the other kinds, by the names
    under which scenarios start them. What a worker's command line starts, such as the program under
    `sh -c` or `npm start`, is part of the worker, and is killed and paused with it. Workers that
    know only a fixed address find a dev server of their own at `port` of localhost, those that know
    only one namespace at that `namespace`; of cases that want the same port one runs at a time.
    `supervisor` is a command line that takes `--workers N`, and keeps so many; without one the
    harness itself starts a worker again that has died. Python programs of ours that this
    interpreter runs, such as `python -m orders.worker`, start in less time by fork where `preload`
    names what they import.

    `versions` are the builds between which a deploy goes, where a deploy is to be tested.

    `timings` are what the target says of itself. `prices_usd` has the price of each item. `bills`,
    `paid_requests` and `refusals` read from a case's folder what was billed, what the workers have
    on record of that, and which answers a service refused.
    `scenarios` are the project's, for the command line. `evidence` and `lab` are the target's own
    kinds of the harness's classes. `slots` is how many activities a worker does at once, by which
    the load of a case is measured; `live` is there where real money is paid, `estimates` tell what
    all scenarios would cost then. `packages` are the distributions whose versions the results name.
    `metrics` says by which variable a worker takes where it serves its SDK metrics; they are then
    among the samples of each case.

    A search draws and explores `specs`: each makes a workflow for an id that it is given, and
    `former_specs` has today's names of those that older schedules call otherwise. `invariants` must
    hold whatever breaks meanwhile: `SURVIVAL`, and what is the target's own. `draws` are families
    of faults of its own, each drawn for one workflow. `drawn` and `explored` are the conditions of
    both. `resubmissions` is how often an operator starts a workflow again that has failed under
    drawn faults. `is_paid` tells of an activity's type and of what it asks for, which is the last
    word of a URL's path without ids, whether that request costs money each time that it arrives;
    the paid requests of a workflow are made in the order of its `charges`.

    The command line asks for the rest: `needs` says what the project in a folder needs of this
    machine, `up` what `up` starts in place of just this, and `listed` what `list` shows below the
    faults: words with what each of them means, by a title.
    """

    worker: Sequence[str]
    task_queue: str
    cwd: Path | str | None = None
    settings: Mapping[str, str] | Callable[[Placement], Mapping[str, str]] = field(
        default_factory=dict
    )
    passed: Sequence[str] = ()
    ready: Ready = field(default_factory=Polls)
    kinds: Mapping[str, WorkerKind] = field(default_factory=dict)
    port: int | None = None
    namespace: str = NAMESPACE
    services: Sequence[Service] = ()
    supervisor: Sequence[str] = ()
    preload: Sequence[str] = ()
    versions: Versions | None = None
    timings: Timings = field(default_factory=Timings)
    data_converter: DataConverter = pydantic_data_converter
    prices_usd: Mapping[str, Decimal] = field(default_factory=dict)
    bills: Callable[[Path], Iterable[Bill]] = lambda _: ()
    paid_requests: Callable[[Path], Iterable[PaidRequest]] = lambda _: ()
    refusals: Callable[[Path], Iterable[Refusal]] = lambda _: ()
    specs: Mapping[str, Callable[[str], WorkflowSpec]] = field(default_factory=dict)
    former_specs: Mapping[str, str] = field(default_factory=dict)
    invariants: Sequence[Any] = ()
    draws: Mapping[str, Callable[[random.Random, WorkflowSpec], Any]] = field(default_factory=dict)
    drawn: Conditions = field(default_factory=Conditions)
    explored: Conditions = field(default_factory=Conditions)
    resubmissions: int = 0
    is_paid: Callable[[str, str], bool] = lambda _activity, _request: False
    scenarios: Callable[[], Sequence[Any]] = lambda: ()
    evidence: type[Evidence] = Evidence
    lab: type[Any] | None = None
    slots: int | None = None
    live: Live | None = None
    estimates: Callable[[], Sequence[SuiteEstimate]] = lambda: ()
    packages: Sequence[str] = ()
    metrics: Metrics | None = None
    needs: Callable[[Path], Iterable[Need]] = lambda _: ()
    up: Callable[[], Up] | None = None
    listed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def worker_kind(self, name: str | None) -> WorkerKind:
        """One of its kinds; None: the main one. Raises KeyError."""
        if name is None:
            return WorkerKind(self.worker, self.task_queue, self.ready)
        return self.kinds[name]

    def version(self, name: VersionName) -> Version:
        """One of its versions. Raises KeyError where it names none of that name."""
        return (self.versions.all if self.versions else {})[name]

    @property
    def has_workers_already(self) -> bool:
        """Whether nobody starts workers here: they are there."""
        return not self.worker

    def folder_in(self, project: Path | None) -> Path:
        """Where its modules are found, and its processes run unless that is a scratch folder;
        without a `project` in that where the run was begun.
        """
        own = "" if self.cwd in {None, SCRATCH} else str(self.cwd)
        return (project or nearest_project(Path.cwd())) / own

    def placed(self, spec: StackSpec) -> StackSpec:
        """A stack as its workers need it: on a server of its own where what they know is fixed."""
        fixed = replace(spec, port=self.port, namespace=self.namespace)
        return replace(fixed, shares_server=False) if fixed.is_fixed else fixed

    @property
    def billing(self) -> Billing:
        """The mode, and the prices of items."""
        mode = Mode.LIVE if self.live else Mode.MOCKED
        return Billing(mode=mode, prices_usd=self.prices_usd)

    @property
    def reading(self) -> Reading:
        """How its evidence is read."""
        return Reading(
            timings=self.timings,
            billing=self.billing,
            bills=self.bills,
            paid_requests=self.paid_requests,
            refusals=self.refusals,
            data_converter=self.data_converter,
        )

    def load_evidence(self, folder: Path) -> Evidence:
        """Read what a case of it left behind."""
        return self.evidence.load(folder, self.reading)


@dataclass
class ServiceProcess:
    """A running service; its port stays the same over restarts."""

    service: Service
    child: Child
    port: Port

    async def start(self) -> None:
        """Start it, again after it has ended, and wait for its port. Raises ChildError."""
        await self.child.start_ready(
            self.port.is_open,
            what=f"{self.child.name} listens",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    def variable(self, address: str) -> dict[str, str]:
        """The variables by which a worker finds it at an address: its own, or that of a proxy."""
        if self.service.variable is None:
            return {}
        return {self.service.variable: self.service.url.replace("{address}", address)}

    async def discard(self) -> None:
        """End it at the end of a run."""
        await self.child.discard()
        self.port.release()


@dataclass(frozen=True)
class Placement:
    """Where a target runs for one case: it fills in the placeholders of command lines and settings.
    `run_folder` outlives the case in any case; `secret` belongs to this case only. `project` is the
    root of the user's project, by default of that where the run was started.
    """

    target: Target
    factory: ProcessFactory
    evidence: Path
    run_folder: Path
    secret: str
    project: Path | None = None

    @property
    def scratch(self) -> Path:
        """A folder that is removed after the run."""
        return self.factory.scratch

    @property
    def run_tag(self) -> str:
        """What all processes of this run have in their environment."""
        return self.factory.run_tag

    @property
    def cwd(self) -> Path:
        """Where the target's processes run."""
        is_scratch = self.target.cwd == SCRATCH
        return self.scratch if is_scratch else self.target.folder_in(self.project)

    def worker(self, kind: str | None = None, version: VersionName | None = None) -> list[str]:
        """The command line of a worker."""
        own = self.target.version(version).argv if version else ()
        return [self._filled(part) for part in own or self.target.worker_kind(kind).argv]

    def settings(
        self, kind: str | None = None, version: VersionName | None = None
    ) -> dict[str, str]:
        """Additions to a worker's environment."""
        settings = self.target.settings
        common = settings(self) if callable(settings) else settings
        own = self.target.version(version).settings if version else {}
        return self._all_filled({**common, **self.target.worker_kind(kind).settings, **own})

    def service(
        self, service: Service, environment: Mapping[str, str] | None = None
    ) -> ServiceProcess:
        """One of its services, its settings over this environment; it does not run yet."""
        port = Port()
        argv = [self._filled(part, port) for part in service.argv]
        settings = {**(environment or {}), **self._all_filled(service.settings, port)}
        return ServiceProcess(service, self.child(service.name, argv, settings), port)

    def child(
        self, name: str, argv: Sequence[str], settings: Mapping[str, str], *, is_group: bool = True
    ) -> Child:
        """A process of the target's own, in its folder and with the variables that it asks for."""
        return self.factory.guest(
            name,
            argv,
            settings,
            folder=self.cwd,
            project=self.target.folder_in(self.project),
            passed=self.target.passed,
            is_group=is_group,
        )

    def _all_filled(self, settings: Mapping[str, str], port: Port | None = None) -> dict[str, str]:
        return {name: self._filled(value, port) for name, value in settings.items()}

    def _filled(self, text: str, port: Port | None = None) -> str:
        text = text.replace(EVIDENCE, str(self.evidence)).replace(SCRATCH, str(self.scratch))
        text = text.replace(SECRET, self.secret)
        return text.replace(PORT, str(port.number)) if port else text
