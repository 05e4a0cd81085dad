"""A run, stage by stage: stack, experiment, converge, evidence, judgement, results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.environment.stack import Stack, StackConfig
from chaos.environment.temporal import TemporalFactory, Topology
from chaos.evidence.case import save_billing, save_timings
from chaos.evidence.journal import Event
from chaos.evidence.spec import save_specs
from chaos.experiment.admission import Admission, StartSlot
from chaos.experiment.events import Emit, Finished, Judged, Message, Stage
from chaos.experiment.gauges import gauged
from chaos.experiment.judge import judge
from chaos.experiment.lab import EndedEarlyError, Lab, Options
from chaos.experiment.reporter import CaseReporter, case_folder, case_name
from chaos.experiment.results import (
    CaseResult,
    ScenarioResult,
    broken_case_result,
    case_result,
    scenario_result,
)
from chaos.experiment.saving import ends_the_run, note_trouble, save_all, save_all_books
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.verdict import Verdict
from chaos.process.spawner import Spawner
from chaos.process.waiting import DeadlineExceededError

KEY_CHECK = "key_is_not_kept"
"""The check that the evidence has none of the user's own secrets."""

FIRST_TRY = "first_try"
"""The folder of the first try's evidence in a case's folder, if it had a second try."""

STACKS_AT_ONCE = 24
"""A stack takes up to half a GB."""

SERVERS_AT_ONCE = {Topology.POSTGRES: 3}
"""Stacks with a server of their own. On PostgreSQL that is six processes, half a GB as well."""


class CaseError(Exception):
    """A case's own function raised an error. The sentence says which."""


@dataclass(frozen=True)
class RunContext:
    """What all scenarios of a run share: `scratch` is removed after it, `folder` is kept.

    Without a `temporal_factory` each stack has a dev server of `temporal_cli`. `secrets` are the
    user's, and must be in no evidence. `admission` bounds the stacks of all scenarios, `turns`
    those of one, and `ports` those whose Temporal must be at the same port. Targets run in
    `project`.
    """

    run_tag: str
    scratch: Path
    folder: Path
    temporal_cli: Path | None
    options: Options
    emit: Emit
    worker_argv: Sequence[str] = ()
    temporal_factory: TemporalFactory | None = None
    secrets: Sequence[str] = ()
    spawner: Spawner | None = None
    is_second_try: bool = False
    admission: Admission = field(default_factory=Admission)
    turns: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    ports: dict[int, asyncio.Lock] = field(default_factory=dict)
    project: Path | None = None

    def turn_at(self, port: int | None) -> AbstractAsyncContextManager[object]:
        """Cases that need a fixed port run one at a time; others do not wait."""
        return self.ports.setdefault(port, asyncio.Lock()) if port else nullcontext()


async def run_all(
    scenarios: Sequence[Scenario],
    context: RunContext,
    on_result: Callable[[ScenarioResult], None],
) -> None:
    """Run all side by side, then run the cases whose verdict is unknown once more, one by one. If
    the run is interrupted before that, the first tries count. A live case gets no second try: the
    user has not agreed to pay for it.
    """
    found: dict[str, list[CaseResult]] = {}

    def finish(scenario: Scenario) -> None:
        result = scenario_result(scenario, found.pop(scenario.name))
        context.emit(Finished(scenario.name, result.verdict, result.reason))
        on_result(result)

    async def run_first(scenario: Scenario) -> None:
        cases = found[scenario.name] = await _run_cases(scenario, context)
        pairs = zip(scenario.cases, cases, strict=True)
        if not any(_may_run_again(case, result) for case, result in pairs):
            finish(scenario)

    try:
        async with asyncio.TaskGroup() as group:
            for scenario in scenarios:
                group.create_task(run_first(scenario))
        for scenario in _those(scenarios, found):
            await _run_unknown_again(scenario, found[scenario.name], context)
            finish(scenario)
    finally:
        for scenario in _those(scenarios, found):
            finish(scenario)


def _those(scenarios: Sequence[Scenario], found: Container[str]) -> Sequence[Scenario]:
    return [scenario for scenario in scenarios if scenario.name in found]


async def _run_unknown_again(
    scenario: Scenario, results: list[CaseResult], context: RunContext
) -> None:
    for number, case in enumerate(scenario.cases):
        if _may_run_again(case, results[number]):
            results[number] = await _run_again(scenario, case, results[number], context)


def _may_run_again(case: Case, result: CaseResult) -> bool:
    can_be_shown = bool(case.proofs) or case.undisturbed
    return result.verdict is Verdict.UNKNOWN and can_be_shown and not case.target.live


async def _run_cases(scenario: Scenario, context: RunContext) -> list[CaseResult]:
    most = scenario.cases_at_once
    context = replace(context, turns=asyncio.Semaphore(most)) if most else context
    return await asyncio.gather(*(_safely(scenario, case, context) for case in scenario.cases))


async def _run_again(
    scenario: Scenario, case: Case, first: CaseResult, context: RunContext
) -> CaseResult:
    """The second try of a case; the evidence of the first is kept within its own."""
    name, folder = str(case_name(scenario, case)), case_folder(context.folder, scenario, case)
    try:
        aside = folder.with_name(f".{folder.name}")
        folder.rename(aside)
        folder.mkdir()
        aside.rename(folder / FIRST_TRY)
    except OSError as error:
        context.emit(Message(name, f"gets no second try ({error.strerror}: {folder})"))
        return first
    context.emit(Message(name, "runs once more, alone"))
    scratch = context.scratch / "second-try"
    second = await _safely(scenario, case, replace(context, scratch=scratch, is_second_try=True))
    return second.model_copy(update={"first_try": _moved(first)})


def _moved(first: CaseResult) -> CaseResult:
    """With its histories' present paths."""
    workflows = tuple(
        each.model_copy(update={"history": each.history and _in_first_try(Path(each.history))})
        for each in first.workflows
    )
    return first.model_copy(update={"workflows": workflows})


def _in_first_try(history: Path) -> str:
    folder = history.parent
    return str(folder.parent / FIRST_TRY / folder.name / history.name)


async def _safely(scenario: Scenario, case: Case, context: RunContext) -> CaseResult:
    """Whatever happens to one case, a full disk included, the others continue."""
    try:
        async with context.turns:
            result = await run_case(scenario, case, context)
    except CaseError as error:
        result = broken_case_result(case, str(error))
    except BaseException as error:
        if ends_the_run(error):
            raise
        result = broken_case_result(case, f"there is no evidence that could be judged: {error!r}")
    context.emit(Judged(case_name(scenario, case), result.verdict, result.reason))
    return result


async def run_case(scenario: Scenario, case: Case, context: RunContext) -> CaseResult:
    """Run one experiment, then judge it by its evidence only."""
    _ask(case, context.options)
    own = not case.target.placed(case.stack).shares_server
    async with (
        context.turn_at(case.target.port),
        context.admission.slot(case.about_seconds, has_own_server=own) as slot,
    ):
        return await _run_admitted(scenario, case, context, slot)


def _ask(case: Case, options: Options) -> None:
    """Check a case's `needs` and `load` before anything is started for it."""
    for what, ask in (("needs", case.needs), ("load", lambda: case.load(options))):
        try:
            ask()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise CaseError(f"the case's `{what}` raised an error: {error!r}") from error


async def _run_admitted(
    scenario: Scenario, case: Case, context: RunContext, slot: StartSlot
) -> CaseResult:
    folder = case_folder(context.folder, scenario, case)
    folder.mkdir(parents=True, exist_ok=context.is_second_try)
    scratch = case_folder(context.scratch, scenario, case)
    scratch.mkdir(parents=True)
    reporter = CaseReporter(case_name(scenario, case), folder / "journal.jsonl", context.emit)
    began = time.monotonic()
    try:
        config = StackConfig(
            run_tag=context.run_tag,
            scratch=scratch,
            evidence=folder,
            temporal_cli=context.temporal_cli,
            worker_argv=context.worker_argv,
            run_folder=context.folder,
            temporal_factory=context.temporal_factory,
            name=f"{scenario.name}-{case.name}{'-again' if context.is_second_try else ''}",
            spawner=context.spawner,
            project=context.project,
            measured=True,
        )
        reporter.reached(Stage.STARTING)
        with context.admission.meter.watched(reporter.strained):
            await _experiment(case, config, reporter, context.options, slot)
    finally:
        slot.is_up()
        reporter.journal.close()
    reporter.reached(Stage.JUDGING)
    evidence = await asyncio.to_thread(case.target.load_evidence, folder)
    strict = _with_the_users_secrets(case, context)
    findings = await asyncio.to_thread(judge, strict, evidence)
    return case_result(
        case, evidence, findings, root=context.folder, duration_s=time.monotonic() - began
    )


def _with_the_users_secrets(case: Case, context: RunContext) -> Case:
    """The user's own keys must not be in the evidence either."""
    secrets = [*(case.target.live.secrets if case.target.live else ()), *context.secrets]
    if not secrets or case.must_fail:
        return case
    check = replace(no_secret_is_kept(*secrets), name=KEY_CHECK)
    return replace(case, invariants=(*case.invariants, check))


async def _experiment(
    case: Case, config: StackConfig, reporter: CaseReporter, options: Options, slot: StartSlot
) -> None:
    """Start the stack, run the experiment, and save the evidence. An error here is not a verdict:
    it is journaled as trouble, and judged as unknown.
    """
    journal, folder, target = reporter.journal, config.evidence, case.target
    await save_specs(folder, (), target.data_converter)
    save_billing(folder, target.billing)
    save_timings(folder, target.timings)
    try:
        async with Stack(case.stack, target, config, journal) as stack:
            make = target.lab or Lab
            lab: Lab = make(stack, journal, options, on_working=slot.is_up, on_ended=reporter.ended)
            try:
                async with gauged(stack):
                    await _carry_out(case, lab, reporter)
            finally:
                reporter.reached(Stage.SAVING)
                journal.add(Event.ENDING)
                await save_all(case, lab, folder)
    except BaseException as error:
        if ends_the_run(error):
            raise
        note_trouble(journal, folder, error)
    await save_all_books(target, folder, journal)


async def _carry_out(case: Case, lab: Lab, reporter: CaseReporter) -> None:
    """Run the experiment, then wait until all workflows have ended. One that ends too early, or not
    at all, is not an error here: its history shows it.
    """
    async with lab.sampled() if case.sampled else nullcontext():
        await _experiment_and_end(case, lab, reporter)


async def _experiment_and_end(case: Case, lab: Lab, reporter: CaseReporter) -> None:
    reporter.reached(Stage.RUNNING)
    try:
        await case.experiment(lab)
    except EndedEarlyError as error:
        lab.note(str(error))
    finally:
        await lab.heal()
    reporter.reached(Stage.CONVERGING)
    await lab.stop_schedules()
    try:
        # Real, paid work takes minutes, whatever a case thinks of.
        least = lab.step_deadline_seconds if case.target.live else 0.0
        await lab.converge(max(case.converge_deadline_seconds, least))
    except DeadlineExceededError as error:
        lab.note(str(error))
