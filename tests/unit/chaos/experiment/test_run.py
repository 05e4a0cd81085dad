"""What a case is judged by beyond its own checks, and which cases run once more."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.environment.target import Live
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from chaos.experiment import run
from chaos.experiment.events import RunEvent
from chaos.experiment.lab import Options
from chaos.experiment.reporter import case_folder
from chaos.experiment.results import (
    CaseResult,
    ScenarioResult,
    WorkflowResult,
    broken_case_result,
)
from chaos.experiment.run import FIRST_TRY, RunContext, _with_the_users_secrets
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.scenarios.catalogue import all_scenarios

PASSED, FAILED, UNKNOWN = Verdict.PASSED, Verdict.FAILED, Verdict.UNKNOWN

CASE = all_scenarios()[0].cases[0]
CONTROL = next(c for s in all_scenarios() for c in s.cases if c.must_fail)
SECRETS = ("a-key-of-the-cloud", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC")


def _context(*secrets: str) -> RunContext:
    folder = Path("/nowhere")
    return RunContext(
        run_tag="tag",
        scratch=folder,
        folder=folder,
        temporal_cli=None,
        options=Options(),
        emit=lambda *_: None,
        secrets=secrets,
    )


def _added(*secrets: str) -> Invariant:
    strict = _with_the_users_secrets(CASE, _context(*secrets))
    (check,) = strict.invariants[len(CASE.invariants) :]
    return check


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_of_the_connection_in_any_file_fails_the_case(
    secret: str, tmp_path: Path, worker_crash: Evidence
) -> None:
    evidence = replace(worker_crash, folder=tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker-1.log").write_text("all is well")
    assert _added(*SECRETS).examine(evidence).verdict is Verdict.PASSED

    (tmp_path / "logs" / "worker-1.log").write_text(f"connecting with {secret}")
    assert _added(*SECRETS).examine(evidence).verdict is Verdict.FAILED


def test_a_secret_of_a_live_target_is_looked_for_as_well(
    tmp_path: Path, worker_crash: Evidence
) -> None:
    live = Live(Decimal(15), ("the-key-that-pays",), lambda _: None)
    paying = replace(CASE, target=replace(CASE.target, live=live))
    (check,) = _with_the_users_secrets(paying, _context()).invariants[len(CASE.invariants) :]
    evidence = replace(worker_crash, folder=tmp_path)
    assert check.examine(evidence).verdict is Verdict.PASSED

    (tmp_path / "worker.log").write_text("paying with the-key-that-pays")
    assert check.examine(evidence).verdict is Verdict.FAILED


def test_where_there_is_no_secret_nothing_is_added() -> None:
    assert _with_the_users_secrets(CASE, _context()) is CASE
    assert _with_the_users_secrets(CONTROL, _context(*SECRETS)) is CONTROL


class Stage:
    """Cases whose tries end with the verdicts that a test has planned for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.case = CASE
        self.planned: dict[str, list[Verdict]] = {}
        self.ran: list[str] = []
        self.leave_no_folder: set[str] = set()
        self.results: list[ScenarioResult] = []
        self.events: list[RunEvent] = []
        self.context = replace(_context(), folder=folder, scratch=folder, emit=self.events.append)
        monkeypatch.setattr(run, "run_case", self._run_case)

    def scenario(self, name: str, **verdicts: list[Verdict]) -> Scenario:
        self.planned |= {f"{name}/{case}": list(planned) for case, planned in verdicts.items()}
        cases = tuple(replace(self.case, name=case) for case in verdicts)
        return Scenario(name=name, title=name, cases=cases)

    async def _run_case(self, scenario: Scenario, case: Case, context: RunContext) -> CaseResult:
        name = f"{scenario.name}/{case.name}"
        self.ran.append(name)
        folder = case_folder(context.folder, scenario, case)
        folder.mkdir(parents=True, exist_ok=context.is_second_try)
        (folder / "try.txt").write_text(str(self.ran.count(name)))
        if name in self.leave_no_folder:
            shutil.rmtree(folder)
        await asyncio.sleep(0)
        verdict = self.planned[name].pop(0)
        history = f"{name}/histories/w.run-1.json"
        workflow = WorkflowResult(
            workflow_id="w", run_id="r", status=Status.RUNNING, history=history
        )
        return broken_case_result(case, "told so").model_copy(
            update={"verdict": verdict, "workflows": (workflow,)}
        )

    async def run(self, *scenarios: Scenario) -> None:
        await run.run_all(scenarios, self.context, self.results.append)

    def verdicts(self) -> dict[str, Verdict]:
        return {result.name: result.verdict for result in self.results}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    return Stage(monkeypatch, tmp_path)


async def test_what_is_unknown_runs_once_more_when_all_else_has_ended(stage: Stage) -> None:
    doubtful = stage.scenario("doubtful", a=[UNKNOWN, PASSED], b=[PASSED])
    slow = stage.scenario("slow", c=[PASSED])

    await stage.run(doubtful, slow)

    assert stage.ran[-1] == "doubtful/a"
    assert sorted(stage.ran) == ["doubtful/a", "doubtful/a", "doubtful/b", "slow/c"]
    assert stage.verdicts() == {"slow": PASSED, "doubtful": PASSED}
    again = stage.results[1].cases[0]
    assert again.first_try
    assert (again.verdict, again.first_try.verdict) == (PASSED, UNKNOWN)


async def test_the_evidence_of_both_tries_is_kept(stage: Stage) -> None:
    await stage.run(stage.scenario("doubtful", a=[UNKNOWN, UNKNOWN]))

    folder = stage.context.folder / "doubtful" / "a"
    assert (folder / "try.txt").read_text() == "2"
    assert (folder / FIRST_TRY / "try.txt").read_text() == "1"
    (case,) = stage.results[0].cases
    assert case.first_try
    assert case.first_try.workflows[0].history == "doubtful/a/first_try/histories/w.run-1.json"
    assert case.workflows[0].history == "doubtful/a/histories/w.run-1.json"
    assert stage.verdicts() == {"doubtful": UNKNOWN}


async def test_a_second_try_that_fails_fails(stage: Stage) -> None:
    await stage.run(stage.scenario("doubtful", a=[UNKNOWN, FAILED]))

    assert stage.verdicts() == {"doubtful": FAILED}


async def test_what_has_failed_is_never_run_again(stage: Stage) -> None:
    await stage.run(stage.scenario("bad", a=[FAILED], b=[UNKNOWN, PASSED]))

    assert stage.ran.count("bad/a") == 1
    assert stage.verdicts() == {"bad": FAILED}


async def test_nobody_pays_for_a_second_try(stage: Stage) -> None:
    live = Live(Decimal(15), ("a-key",), lambda _: None)
    stage.case = replace(CASE, target=replace(CASE.target, live=live))

    await stage.run(stage.scenario("doubtful", a=[UNKNOWN]))

    assert stage.ran == ["doubtful/a"]
    assert stage.verdicts() == {"doubtful": UNKNOWN}


async def test_of_a_run_that_is_broken_off_before_them_the_first_tries_stand(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> CaseResult:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(run, "_run_again", never)
    running = asyncio.create_task(stage.run(stage.scenario("doubtful", a=[UNKNOWN])))
    await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert stage.verdicts() == {"doubtful": UNKNOWN}


async def test_where_the_first_try_cannot_be_put_aside_the_others_have_theirs(
    stage: Stage,
) -> None:
    lost = stage.scenario("lost", a=[UNKNOWN])
    doubtful = stage.scenario("doubtful", a=[UNKNOWN, PASSED])
    stage.leave_no_folder.add("lost/a")

    await stage.run(lost, doubtful)

    assert stage.verdicts() == {"lost": UNKNOWN, "doubtful": PASSED}
    assert any("gets no second try (No such file" in str(event) for event in stage.events)
