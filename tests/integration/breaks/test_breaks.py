"""Every scenario turns red when what it guards is broken: real runs of sabotaged workers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from chaos import workload
from chaos.binaries import find_temporal_cli
from chaos.cluster.worker import WORKER_ARGV
from chaos.guardian import MARK, Guard
from chaos.lab import Lab, Options
from chaos.report.results import CaseResult
from chaos.run import RunContext, run_case
from chaos.scenarios import (
    Case,
    checkpoint,
    concurrency,
    retry_config,
    server_restart,
    worker_crash,
)
from chaos.verdict import Verdict

ONE_WORKER = concurrency.SCENARIO.cases[0]
RETRY = replace(retry_config.SCENARIO.cases[0], converge_deadline_seconds=45)
SERVER_KILL = server_restart.SCENARIO.cases[0]
CONTROL = next(case for case in server_restart.SCENARIO.cases if case.must_fail)
CRASH = worker_crash.SCENARIO.cases[0]
SERIES = checkpoint.SCENARIO.cases[0]


async def _nothing_is_killed(lab: Lab) -> None:
    await lab.worker()
    await lab.start(workload.single("crash-single"))


async def _one_after_the_other(lab: Lab) -> None:
    await lab.worker()
    for number in range(1, 3):
        await lab.start(workload.single(f"load-{number:03}"))
        await lab.converge(30)


@dataclass(frozen=True)
class Break:
    """What is broken in which case, and which check has to see it."""

    name: str
    case: Case
    check: str
    verdict: Verdict = Verdict.FAILED
    sabotage: bool = True


BREAKS = (
    Break("pays_again_after_a_crash", SERIES, "billed_at_most_expected"),
    Break("never_retries", SERIES, "workflows_end_as_expected"),
    Break("retries_sooner", RETRY, "policy_is_as_required"),
    Break("retries_sooner", RETRY, "retries_are_spaced[retry-recovers]"),
    Break("fails_quietly", RETRY, "workflows_end_as_expected"),
    Break("pays_twice", ONE_WORKER, "billed_at_most_expected"),
    Break("pays_twice", ONE_WORKER, "every_bill_is_on_record"),
    Break("hides_a_cost", ONE_WORKER, "cost_matches_ledger"),
    Break("hides_possible_waste", CRASH, "cost_matches_ledger"),
    Break("forgets_what_was_bought", CRASH, "every_bill_is_on_record"),
    Break("forgets_a_checkpoint", ONE_WORKER, "checkpoints_are_complete_and_in_order"),
    Break("shares_files", ONE_WORKER, "artifacts_exist_with_their_hash"),
    Break("mixes_up_characters", ONE_WORKER, "artifacts_are_their_own"),
    Break("decides_otherwise", ONE_WORKER, "histories_replay"),
    Break("logs_the_key", ONE_WORKER, "no_secret_is_kept"),
    Break("goes_back", SERVER_KILL, "progress_never_goes_back"),
    Break(
        "the server forgets",
        replace(SERVER_KILL, stack=CONTROL.stack),
        "workflows_end_as_expected",
        sabotage=False,
    ),
    Break(
        "the control keeps its data",
        replace(CONTROL, stack=SERVER_KILL.stack),
        "control[workflows_end_as_expected]",
        sabotage=False,
    ),
    Break(
        "nothing is killed",
        replace(CRASH, experiment=_nothing_is_killed),
        "killed_during_request[worker-1]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
    Break(
        "one after the other",
        replace(ONE_WORKER, experiment=_one_after_the_other),
        "all_were_open_at_once",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
SIDE_BY_SIDE = 8

Results = Mapping[tuple[str, str], CaseResult]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Every broken case, run once for all checks that look at it."""
    folder: Path = tmp_path_factory.mktemp("breaks")
    seats = asyncio.Semaphore(SIDE_BY_SIDE)

    with Guard() as guard:
        cli = find_temporal_cli(None, announce=print, env_mark={MARK: guard.mark})

        async def run(number: int, broken: Break) -> CaseResult:
            argv = (sys.executable, "-m", "tests.integration.breaks.sabotage", broken.name)
            context = RunContext(
                mark=guard.mark,
                scratch=guard.folder / str(number),
                folder=folder / str(number),
                temporal_cli=cli.path,
                options=Options(workflows=2),
                announce=lambda *_: None,
                worker_argv=argv if broken.sabotage else WORKER_ARGV,
                starting=starting,
            )
            async with seats:
                return await run_case(concurrency.SCENARIO, broken.case, context)

        starting = asyncio.Semaphore(2)
        distinct = {(broken.name, broken.case.name): broken for broken in BREAKS}
        found = await asyncio.gather(*(run(n, b) for n, b in enumerate(distinct.values())))
        return dict(zip(distinct, found, strict=True))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: f"{b.name}-{b.check}")
@pytest.mark.asyncio(loop_scope="module")
async def test_the_break_is_seen(broken: Break, results: Results) -> None:
    """The check that guards it says so, and the case does not pass."""
    result = results[broken.name, broken.case.name]
    seen = {check.check: check.verdict for check in result.checks}

    assert seen.get(broken.check) is broken.verdict, result.reason
    assert result.verdict is not Verdict.PASSED
