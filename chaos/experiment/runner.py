"""Runs all chosen scenarios side by side, in a thread of its own."""

from __future__ import annotations

import asyncio
import platform
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from chaos.environment.external import ExternalError
from chaos.environment.provision import Choice, NotInstalledError, Provisioned, provision
from chaos.environment.shared import SharingFactory
from chaos.environment.target import THERE_ALREADY, Live, Target
from chaos.environment.temporal import TemporalFactory, Topology
from chaos.evidence.bills import Mode, SuiteEstimate
from chaos.evidence.files import NoFolderError, new_folder
from chaos.experiment.admission import Admission
from chaos.experiment.cpu import Used, cpu_seconds
from chaos.experiment.events import Message, NoView, RunEvent, TimedEvent, View
from chaos.experiment.lab import Options
from chaos.experiment.reporter import plan
from chaos.experiment.results import (
    NotRun,
    Overall,
    RunResult,
    ScenarioResult,
    coverage_of,
    goals_of,
)
from chaos.experiment.run import SERVERS_AT_ONCE, STACKS_AT_ONCE, RunContext, run_all
from chaos.experiment.scenario import Case, Scenario, in_mode, on_topology
from chaos.invariants.verdict import Verdict
from chaos.process.child import spawning
from chaos.process.programs import BadBinaryError, BinaryNotFoundError, SearchCancelledError
from chaos.process.reaper import Reaper
from chaos.process.run_lock import RunLock
from chaos.process.spawner import Spawner
from chaos.process.waiting import CLOCK

STOP_DEADLINE_SECONDS = 60.0
_DRAIN_SECONDS = 0.1
_USERS_ERRORS = (BadBinaryError, BinaryNotFoundError, ExternalError, SearchCancelledError)

T = TypeVar("T")


class RunError(Exception):
    """The run cannot start. One sentence: what happened and what to do."""


@dataclass
class Runner:
    """One run. `start` it, ask for each scenario's `result`, and `stop` it in any case.

    `chosen` are the user's scenarios, of which those run that have a case in the mode and topology.
    `worker_argv` is the user's own program instead of the target's. Targets run in `project`, by
    default that of the current folder. `view` shows the run live; `write` writes the reports into
    the run's folder, and returns what could not be written. After the start `missing` says why
    nothing can run here, after the stop `troubles` says which reports could not be written.
    """

    chosen: Sequence[Scenario]
    choice: Choice
    options: Options
    reports: Path
    view: View = field(default_factory=NoView)
    write: Callable[[RunResult, Path], tuple[str, ...]] = lambda _result, _folder: ()
    worker_argv: Sequence[str] = ()
    project: Path | None = None
    outcome: RunResult | None = None
    paid_usd: Decimal | None = None
    missing: str | None = None
    troubles: tuple[str, ...] = ()
    folder: Path = field(init=False)
    _events: queue.SimpleQueue[TimedEvent] = field(default_factory=queue.SimpleQueue)
    _cancel: threading.Event = field(default_factory=threading.Event)
    _ready: Future[Provisioned] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.scenarios, self._not_run = _split(self.chosen, self._mode, self.choice.topology)
        self._results: dict[str, Future[ScenarioResult]] = {
            s.name: Future() for s in self.scenarios
        }
        self._began = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._used_before = Used.now()
        self._run_lock: RunLock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._main, name="chaos run", daemon=True)

    @property
    def targets(self) -> Sequence[Target]:
        """The targets of the chosen cases, each once."""
        found: list[Target] = []
        for scenario in self.chosen:
            found += [case.target for case in scenario.cases if case.target not in found]
        return found

    @property
    def live(self) -> Live | None:
        """The live services of the chosen cases, if any."""
        return next((target.live for target in self.targets if target.live), None)

    @property
    def _mode(self) -> Mode:
        return Mode.LIVE if self.live else Mode.MOCKED

    def start(self) -> None:
        """Create the run's folder, find the programs that it needs, and start. Raises RunError."""
        if self.live and any(target.live != self.live for target in self.targets):
            raise RunError(
                "some of these cases pay real money and others do not: choose either kind, "
                "because a run has one mode and one budget."
            )
        try:
            self.folder = new_folder(self.reports, at=self._started_at, option="--chaos-reports")
        except NoFolderError as error:
            raise RunError(str(error)) from None
        self._run_lock = RunLock(self.folder)
        self._emit(plan(self.scenarios, self.options, self.folder))
        self._thread.start()
        try:
            self._wait(self._ready)
        except NotInstalledError as error:
            self._remove_folder()
            self.missing = str(error)
        except _USERS_ERRORS as error:
            self._remove_folder()
            raise RunError(str(error)) from None

    def _remove_folder(self) -> None:
        self._release()
        self.folder.rmdir()

    def _release(self) -> None:
        if self._run_lock:
            self._run_lock.release()

    def why_not_run(self, scenario: Scenario) -> str | None:
        """Why a scenario gets no result; None if it gets one."""
        reasons = {each.name: each.reason for each in self._not_run}
        return self.missing or reasons.get(scenario.name)

    @property
    def overall(self) -> Overall:
        """How many passed, of those that have ended."""
        done = self._done()
        absent = self.chosen if self.missing else self._not_run
        return Overall(
            passed=sum(result.verdict is Verdict.PASSED for result in done),
            total=len(done),
            not_run=len(absent),
        )

    def result(self, scenario: Scenario) -> ScenarioResult:
        """Wait for a scenario's result, and show the run meanwhile."""
        return self._wait(self._results[scenario.name])

    def stop(self) -> None:
        """Stop what still runs, leave nothing behind, and write the reports. Raises RunError if
        they cannot be written.
        """
        try:
            self._stop()
        finally:
            self._release()

    def _stop(self) -> None:
        self._cancel.set()
        is_done = all(future.done() for future in self._results.values())
        if self._loop and self._task and not is_done:  # else it is clearing up already
            with suppress(RuntimeError):  # the loop may just have closed by itself
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread.is_alive():
            self._thread.join(STOP_DEADLINE_SECONDS)
        self._drain()
        unknown: RunError | None = None
        if self.live and self._thread.ident:
            try:
                self.paid_usd = self.live.paid_usd(self.folder)
            except RunError as error:  # the results are written all the same
                unknown = error
        if not self.missing:
            self._write()
        if unknown:
            raise unknown

    def _write(self) -> None:
        done = self._done()
        began = self._ready.done() and not self._ready.exception()
        if done or (began and not self.scenarios):
            self.outcome = self._outcome(done)
            try:
                self.troubles = self.write(self.outcome, self.folder)
            except OSError as error:
                raise RunError(
                    f"the results could not be written to {self.folder} ({error.strerror}); "
                    "make room there, or choose another folder with --chaos-reports."
                ) from None

    def _done(self) -> list[ScenarioResult]:
        return [f.result() for f in self._results.values() if f.done() and not f.exception()]

    def _wait(self, future: Future[T]) -> T:
        try:
            while not future.done():
                with suppress(queue.Empty):
                    self.view.handle(self._events.get(timeout=_DRAIN_SECONDS))
                self._drain()
                self.view.refresh(self._seconds())
        finally:
            self.view.leave()
        self._drain()
        return future.result()

    def _drain(self) -> None:
        while not self._events.empty():
            self.view.handle(self._events.get())

    def _emit(self, event: RunEvent) -> None:
        self._events.put(TimedEvent(self._seconds(), event))

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _main(self) -> None:
        """The thread: everything that this run starts lives within the reaper."""
        try:
            preload = dict.fromkeys(name for target in self.targets for name in target.preload)
            folder = next((t.folder_in(self.project) for t in self.targets if t.preload), None)
            with Reaper() as reaper, spawning(reaper, tuple(preload), folder) as spawner:
                provisioned = provision(
                    self.choice,
                    run_id=self.folder.name,
                    run_tag=reaper.run_tag,
                    announce=lambda text: self._emit(Message("temporal", text)),
                    cancel=self._cancel,
                )
                self._ready.set_result(provisioned)
                asyncio.run(self._run_all(reaper, spawner, provisioned))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the main thread
            futures: list[Future[Any]] = [self._ready, *self._results.values()]
            for future in futures:
                if not future.done():
                    future.set_exception(error)

    async def _run_all(self, reaper: Reaper, spawner: Spawner, provisioned: Provisioned) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        admission = Admission(
            stacks=STACKS_AT_ONCE,
            own_servers=SERVERS_AT_ONCE.get(self.choice.topology, STACKS_AT_ONCE),
        )
        CLOCK.set(admission.meter.fair_seconds)
        measuring = asyncio.create_task(admission.meter.run())
        context = RunContext(
            run_tag=reaper.run_tag,
            scratch=reaper.folder,
            folder=self.folder,
            temporal_cli=None,
            options=self.options,
            emit=self._emit,
            worker_argv=self.worker_argv,
            project=self.project,
            secrets=provisioned.secrets,
            spawner=spawner,
            admission=admission,
        )
        try:
            async with _sharing(
                provisioned.temporal_factory, reaper, self.folder
            ) as temporal_factory:
                await run_all(
                    self.scenarios,
                    replace(context, temporal_factory=temporal_factory),
                    self._set_result,
                )
        finally:
            measuring.cancel()

    def _set_result(self, result: ScenarioResult) -> None:
        self._results[result.name].set_result(result)

    def _suite_estimates(self) -> tuple[SuiteEstimate, ...]:
        """The estimates of the first target that has any; an error in them costs no results."""
        for target in self.targets:
            with suppress(Exception):
                if found := tuple(target.estimates()):
                    return found
        return ()

    def _outcome(self, done: Sequence[ScenarioResult]) -> RunResult:
        return RunResult(
            run_id=self.folder.name,
            started_at=self._started_at,
            mode=self._mode,
            topology=self.choice.topology,
            seed=_seed_of(self.chosen),
            workflows=self.options.workflows,
            budget_usd=self.live.budget_usd if self.live else None,
            paid_usd=self.paid_usd,
            suite_estimates=self._suite_estimates(),
            versions={
                "python": platform.python_version(),
                "temporalio": version("temporalio"),
                **{name: _version(name) for target in self.targets for name in target.packages},
                "server": self._ready.result().server_version,
            },
            cpu_s=cpu_seconds(self.folder, self._used_before, Used.now()),
            scenarios=tuple(done),
            not_run=self._not_run,
            coverage=coverage_of(done),
            goals=goals_of(done),
            overall=self.overall,
        )


def _version(package: str) -> str:
    """A target's libraries may be in an environment of its own."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed here"


def _sharing(
    factory: TemporalFactory, reaper: Reaper, folder: Path
) -> AbstractAsyncContextManager[TemporalFactory]:
    """Where the servers are ours, stacks may share one."""
    if factory.topology is Topology.EXTERNAL:
        return nullcontext(factory)
    return SharingFactory(factory, reaper.run_tag, reaper.folder, folder)


def _seed_of(scenarios: Sequence[Scenario]) -> int | None:
    """The first seed of what was drawn; a case keeps its own in its schedule."""
    return next((c.seed for s in scenarios for c in s.cases if c.seed is not None), None)


def _split(
    chosen: Sequence[Scenario], mode: Mode, topology: Topology
) -> tuple[Sequence[Scenario], tuple[NotRun, ...]]:
    """The scenarios with the cases that can run, and what has none or cannot run here."""
    kept, absent = [], []
    for scenario in chosen:
        meant = on_topology(in_mode(scenario, mode), topology)
        missing = {c.name: why for c in meant.cases if (why := missing_here(c, topology))}
        here = replace(meant, cases=tuple(c for c in meant.cases if c.name not in missing))
        if here.cases:
            kept.append(here)
            absent += [_not_run(here, why, case) for case, why in missing.items()]
        else:
            reasons = [*missing.values(), _why_none(mode, topology)]
            absent.append(_not_run(here, reasons[0]))
    return kept, tuple(absent)


def missing_here(case: Case, topology: Topology) -> str | None:
    """Why a case cannot run here. A `needs` that raises is called again later."""
    is_elsewhere = case.target.has_workers_already and topology is not Topology.EXTERNAL
    try:
        missing = case.needs()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - pytest's own outcomes and SystemExit are no Exceptions
        return None
    return missing or (f"{THERE_ALREADY}: use --topology external" if is_elsewhere else None)


def _not_run(scenario: Scenario, reason: str, case: str | None = None) -> NotRun:
    name = f"{scenario.name}/{case}" if case else scenario.name
    title = f"{scenario.title}, {case}" if case else scenario.title
    return NotRun(number=scenario.number, name=name, title=title, reason=reason)


def _why_none(mode: Mode, topology: Topology) -> str:
    if topology is Topology.EXTERNAL:
        return "it would hit the servers of an external cluster"
    return f"it has no {mode} case on the topology {topology}"
