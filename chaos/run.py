"""A run, stage by stage: stack, experiment, converge, evidence, judgement, results."""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.billing import REFERENCE
from chaos.cluster.live import LiveApi
from chaos.cluster.stack import Place, Stack
from chaos.cluster.temporal import Maker, Topology
from chaos.cluster.worker import WORKER_ARGV
from chaos.evidence import (
    Evidence,
    save_billing,
    save_expectations,
    save_histories,
    save_live_ledger,
    save_paid_calls,
    save_prefix,
    save_promise,
)
from chaos.invariants.secrets import no_secret_is_kept
from chaos.journal import Event
from chaos.judge import judge
from chaos.lab import EndedEarlyError, Lab, Options
from chaos.news import Announce, Finished, Judged, Stage
from chaos.process import ChildError
from chaos.report.results import (
    CaseResult,
    ScenarioResult,
    broken_case_result,
    case_result,
    scenario_result,
)
from chaos.scenarios import Case, Scenario
from chaos.spawner import Spawner
from chaos.telling import Telling, case_folder, case_name
from chaos.waiting import DeadlineExceededError

KEY_CHECK = "key_is_not_kept"
"""The check that none of the user's own secrets is in the evidence."""

LIVE_LEDGER = "paid.db"
"""Of a live run, in its folder: what was paid for must outlive whatever becomes of the run."""

STACKS_AT_ONCE = {Topology.POSTGRES: 3, Topology.DEV: 24, Topology.EXTERNAL: 24}
"""A stack takes half a GB. On PostgreSQL it has six processes, which share the cores as well."""

_EXPECTED_TROUBLE = (ChildError, DeadlineExceededError, TimeoutError)


class Turn:
    """Leave to start a stack. Starting takes all of a core, and who has begun should not wait."""

    def __init__(self, starting: asyncio.Semaphore) -> None:
        self._starting = starting
        self._held = False

    async def take(self) -> None:
        """Wait for one's turn."""
        await self._starting.acquire()
        self._held = True

    def end(self) -> None:
        """Let the next one start; a second call does nothing."""
        if self._held:
            self._held = False
            self._starting.release()


@dataclass(frozen=True)
class RunContext:
    """What all scenarios of a run share: `scratch` is removed after it, `folder` is kept.

    Without a `maker` each stack has a dev server of `temporal_cli`. `secrets` are the user's, and
    must be in no evidence. `seats` bounds the stacks of all scenarios, `turns` those of one.
    """

    mark: str
    scratch: Path
    folder: Path
    temporal_cli: Path | None
    options: Options
    announce: Announce
    worker_argv: Sequence[str] = WORKER_ARGV
    live: LiveApi | None = None
    maker: Maker | None = None
    secrets: Sequence[str] = ()
    spawner: Spawner | None = None
    seats: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    turns: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    starting: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(os.cpu_count() or 1)
    )


async def run_scenario(scenario: Scenario, context: RunContext) -> ScenarioResult:
    """Run all cases of a scenario side by side."""
    most = scenario.cases_at_once
    context = replace(context, turns=asyncio.Semaphore(most)) if most else context
    cases = await asyncio.gather(*(_safely(scenario, case, context) for case in scenario.cases))
    result = scenario_result(scenario, cases)
    context.announce(Finished(scenario.name, result.verdict, result.reason))
    return result


async def _safely(scenario: Scenario, case: Case, context: RunContext) -> CaseResult:
    """Whatever happens to one case, a full disk included, the others go on."""
    try:
        async with context.turns, context.seats:
            result = await run_case(scenario, case, context)
    except Exception as error:  # noqa: BLE001 - see above
        result = broken_case_result(case, f"there is no evidence that could be judged: {error!r}")
    context.announce(Judged(case_name(scenario, case), result.verdict, result.reason))
    return result


async def run_case(scenario: Scenario, case: Case, context: RunContext) -> CaseResult:
    """Run one experiment, then judge it by nothing but what it left behind."""
    folder = case_folder(context.folder, scenario, case)
    folder.mkdir(parents=True)
    scratch = case_folder(context.scratch, scenario, case)
    scratch.mkdir(parents=True)
    telling = Telling(case_name(scenario, case), folder / "journal.jsonl", context.announce)
    turn = Turn(context.starting)
    try:
        place = Place(
            mark=context.mark,
            scratch=scratch,
            evidence=folder,
            temporal_cli=context.temporal_cli,
            worker_argv=context.worker_argv,
            live=context.live,
            live_ledger=context.folder / LIVE_LEDGER if context.live else None,
            maker=context.maker,
            name=f"{scenario.name}-{case.name}",
            spawner=context.spawner,
        )
        await turn.take()
        began = time.monotonic()
        telling.reached(Stage.STARTING)
        await _experiment(case, place, telling, context.options, turn)
    finally:
        turn.end()
        telling.journal.close()
    telling.reached(Stage.JUDGING)
    evidence = await asyncio.to_thread(Evidence.load, folder)
    strict = _with_the_users_secrets(case, context)
    findings = await asyncio.to_thread(judge, strict, evidence)
    return case_result(
        case, evidence, findings, root=context.folder, duration_s=time.monotonic() - began
    )


def _with_the_users_secrets(case: Case, context: RunContext) -> Case:
    """The user's own keys must be nowhere in the evidence either."""
    key = [context.live.key.get_secret_value()] if context.live else []
    secrets = [*key, *context.secrets]
    if not secrets or case.must_fail:
        return case
    check = replace(no_secret_is_kept(*secrets), name=KEY_CHECK)
    return replace(case, invariants=(*case.invariants, check))


async def _experiment(
    case: Case, place: Place, telling: Telling, options: Options, turn: Turn
) -> None:
    """Start the stack, do what the case says, and save what is to be known afterwards.

    What goes wrong here is not a verdict: it is journaled as trouble, and judged as unknown.
    """
    journal = telling.journal
    save_expectations(place.evidence, ())
    save_billing(place.evidence, place.live.billing if place.live else REFERENCE)
    if case.stack.system:
        save_promise(place.evidence, case.stack.system.recovery_seconds)
    try:
        async with Stack(case.stack, place, journal) as stack:
            lab = Lab(stack, journal, options, on_working=turn.end, on_ended=telling.ended)
            try:
                await _carry_out(case, lab, telling)
            finally:
                telling.reached(Stage.SAVING)
                journal.add(Event.ENDING)
                lab.witness.close()
                save_expectations(place.evidence, lab.expectations)
                save_prefix(place.evidence, stack.temporal.prefix)
                ids = [f"{stack.temporal.prefix}{a.workflow_id}" for a in lab.expectations]
                if case.stack.system is None:
                    await asyncio.to_thread(save_paid_calls, stack.ledger_url, place.evidence, ids)
                if place.live:
                    save_live_ledger(place.evidence, lab.expectations)
                await save_histories(stack.client, place.evidence, ids, lab.started)
    except _EXPECTED_TROUBLE as error:
        journal.add(Event.TROUBLE, str(error))
    except Exception as error:  # noqa: BLE001 - a broken scenario must not end the run
        (place.evidence / "trouble.txt").write_text(traceback.format_exc())
        journal.add(Event.TROUBLE, f"the experiment broke: {error!r} (see trouble.txt)")


async def _carry_out(case: Case, lab: Lab, telling: Telling) -> None:
    """Do what the case says, then wait until all have ended.

    A workflow that ends too early, or not at all, is no trouble of ours: its history shows it.
    """
    telling.reached(Stage.RUNNING)
    try:
        await case.experiment(lab)
    except EndedEarlyError as error:
        lab.note(str(error))
    finally:
        await lab.heal()
    telling.reached(Stage.CONVERGING)
    try:
        longest = max(case.converge_deadline_seconds, lab.step_deadline_seconds)
        await lab.converge(longest)
    except DeadlineExceededError as error:
        lab.note(str(error))
