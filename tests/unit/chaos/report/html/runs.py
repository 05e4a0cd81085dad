"""Runs with evidence, made of what is kept in tests/data, with logs and verdicts of one's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event, read_journal
from chaos.evidence.samples import BACKLOG, WORKER_CPU, WORKER_MEMORY, SampleFile
from chaos.experiment.results import (
    Overall,
    RunResult,
    ScenarioResult,
    case_result,
    coverage_of,
    scenario_result,
)
from chaos.invariants.verdict import Finding, Verdict
from tests.chaos.video.scenarios.catalogue import all_scenarios

EVIDENCE = Path(__file__).parents[4] / "data" / "evidence"
CRASH = ("worker_crash", "sigkill_twice")
LOAD = ("concurrency", "one_worker")
RETRY = ("retry_config", "policy_and_behaviour")
PASSED = (Finding("faults_met_work", Verdict.PASSED), Finding("histories_replay", Verdict.PASSED))

Place = tuple[str, str]


def a_run(
    folder: Path,
    cases: Mapping[Place, Sequence[Finding]],
    logs: Mapping[str, str] | None = None,
    **given: object,
) -> RunResult:
    """Write a run of these cases, a scenario each; the first of them has these logs."""
    scenarios: list[ScenarioResult] = []
    catalogue = {scenario.name: scenario for scenario in all_scenarios()}
    for (name, case_name), findings in cases.items():
        own = folder / name / case_name
        shutil.copytree(EVIDENCE / name / case_name, own)
        (own / "logs").mkdir()
        if not scenarios:
            for log, text in (logs or {}).items():
                (own / "logs" / log).write_text(text)
        scenario = catalogue[name]
        case = next(case for case in scenario.cases if case.name == case_name)
        judged = case_result(
            case, case.target.load_evidence(own), findings, root=folder, duration_s=12.3
        )
        scenarios.append(scenario_result(scenario, [judged]))
    passed = sum(scenario.verdict is Verdict.PASSED for scenario in scenarios)
    run = RunResult(
        run_id="2026-01-02T03-04-05Z",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        versions={"python": "3.11"},
        scenarios=tuple(scenarios),
        coverage=coverage_of(scenarios),
        overall=Overall(passed=passed, total=len(scenarios)),
    ).model_copy(update=given)
    save(run, folder)
    return run


def measure(case: Path, worker: str) -> None:
    """Write samples of a worker of that name, all through a case."""
    journal = read_journal(case / "journal.jsonl")
    with closing(SampleFile(case)) as file:
        for number in range(int((journal[-1].at - journal[0].at).total_seconds())):
            at, labels = journal[0].at + timedelta(seconds=number), {"worker": worker}
            file.add(BACKLOG, number % 7, {"task_queue": "videos", "kind": "workflow"}, at=at)
            file.add(WORKER_CPU, number / 3, labels, at=at)
            file.add(WORKER_MEMORY, 1e8 + number, labels, at=at)


def save(run: RunResult, folder: Path) -> None:
    """Write its results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(run.model_dump_json(by_alias=True))


def failed(check: str, *problems: str) -> tuple[Finding, ...]:
    """What a case finds that does not pass."""
    return (*PASSED, Finding(check, Verdict.FAILED, problems))


def ended(evidence: Evidence) -> Evidence:
    """With the entry, which older evidence has not, that the harness now takes all down."""
    journal = list(evidence.journal)
    if any(entry.event is Event.ENDING for entry in journal):
        return evidence
    last = len([*takewhile(lambda entry: entry.event is Event.EXITED, reversed(journal))])
    journal.insert(-last, Entry(at=journal[-last].at, event=Event.ENDING))
    return replace(evidence, journal=journal)
