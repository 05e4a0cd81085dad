"""What a verdict says of a workflow that hangs, fails or should still run, on a real server."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
)

from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
from chaos.experiment.results import CaseResult, ScenarioResult
from chaos.experiment.run import RunContext, run_all
from chaos.experiment.scenario import COMMON, Case, Scenario
from chaos.invariants import Invariant
from chaos.invariants.survival import replays_with
from chaos.invariants.verdict import Verdict
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from tests.data import reasons_worker

pytestmark = pytest.mark.timeout(180)  # of one test on a busy machine: nine stacks

WORKER = Path(reasons_worker.__file__)
TARGET = Target(worker=(sys.executable, str(WORKER)), task_queue="reasons")
SETTLED_SECONDS = 4.0
"""How long a case is waited for whose workflow hangs."""

Experiment = Callable[[Lab], Awaitable[None]]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[RunContext]:
    with Reaper() as reaper:
        yield RunContext(
            run_tag=reaper.run_tag,
            scratch=reaper.folder,
            folder=tmp_path,
            temporal_cli=find_temporal_cli(None, announce=print).path,
            options=Options(),
            emit=lambda _: None,
        )


def spec(name: str, kind: str, *arguments: object, **options: Any) -> WorkflowSpec:
    return WorkflowSpec(workflow_id=name, workflow_type=kind, arguments=arguments, **options)


def case(experiment: Experiment, name: str = "case", **options: Any) -> Case:
    """Without a proof it cannot pass, and has no second try; one that should is `undisturbed`."""
    given = {"target": TARGET, "load": lambda _: (), "invariants": COMMON}
    return Case(
        name=name,
        experiment=experiment,
        proofs=(),
        stack=StackSpec(persistent=False),
        converge_deadline_seconds=SETTLED_SECONDS,
        **{**given, **options},
    )


def starting(*specs: WorkflowSpec) -> Experiment:
    async def experiment(lab: Lab) -> None:
        await lab.worker()
        for each in specs:
            await lab.start(each)

    return experiment


async def run_of(context: RunContext, *cases: Case) -> ScenarioResult:
    found: list[ScenarioResult] = []
    scenario = Scenario(name="reasons", title="Reasons", cases=cases)
    await run_all([scenario], context, found.append)
    (result,) = found
    for each in result.cases:
        sys.stdout.write(f"[{each.name}] {each.verdict}: {each.reason}\n")
    return result


async def result_of(context: RunContext, experiment: Experiment, **options: Any) -> CaseResult:
    (result,) = (await run_of(context, case(experiment, **options))).cases
    return result


def problems(result: CaseResult, check: str) -> Sequence[str]:
    """Without the doubts of a busy machine."""
    (found,) = (each.problems for each in result.checks if each.check == check)
    return [problem for problem in found if not problem.startswith("unknown: ")]


def evidence_of(context: RunContext) -> Evidence:
    return TARGET.load_evidence(context.folder / "reasons" / "case")


async def test_an_activity_that_is_tried_again_tells_its_attempt_its_failure_and_its_next_try(
    context: RunContext,
) -> None:
    order = spec("order-1", "Charge", 40.0)

    result = await result_of(context, starting(order))

    assert result.verdict is Verdict.FAILED
    (problem,) = problems(result, "workflows_end_as_expected")
    head = "order-1 is running, not completed: charge_card at attempt 2, last failure "
    assert problem.startswith(f"{head}ApplicationError: card declined, next try at ")
    assert problem.endswith(" s)")
    (problem,) = problems(result, "attempts_are_as_expected")
    assert problem.startswith("order-1: charge_card is not closed: at attempt 2, last failure ")
    assert problem.endswith(", not 1")


async def test_an_activity_that_nobody_polls_for_waits_for_a_worker(context: RunContext) -> None:
    result = await result_of(context, starting(spec("order-1", "Pack", 0.0, "empty")))

    (problem,) = problems(result, "workflows_end_as_expected")
    assert "pack at attempt 1, waits for a worker: scheduled " in problem
    assert problem.endswith("s ago, no worker polls empty")


async def test_a_workflow_task_that_was_never_picked_up_waits_for_a_worker(
    context: RunContext,
) -> None:
    async def experiment(lab: Lab) -> None:
        await lab.start(spec("order-1", "Wait", 0.0))

    result = await result_of(context, experiment)

    (problem,) = problems(result, "workflows_end_as_expected")
    assert "its workflow task is at attempt 1, waits for a worker: scheduled " in problem
    assert problem.endswith("s ago, no worker polls reasons")


async def test_a_workflow_that_only_waits_says_for_what(context: RunContext) -> None:
    specs = (spec("timed", "Wait", 300.0), spec("told", "Wait", 0.0))

    result = await result_of(context, starting(*specs))

    timed, told = problems(result, "workflows_end_as_expected")
    assert timed.startswith("timed is running, not completed: waits for a timer, due at ")
    assert told == (
        "told is running, not completed: waits for a signal, an update or a condition: "
        "nothing is pending"
    )


async def _until(lab: Lab, workflow_id: str, holds: Callable[[Workflow], object]) -> None:
    """Wait until the history says so."""

    async def does_hold() -> bool:
        history = await lab.handle(workflow_id).fetch_history()
        return bool(holds(Workflow(workflow_id, [history])))

    await wait_until(does_hold, what=f"{workflow_id} is so far", deadline_seconds=40)


def _pack_is_done(workflow: Workflow) -> bool:
    return any(each.completed for each in workflow.activities)


async def _deploy_a_change(lab: Lab) -> None:
    """A worker of the old release begins, one of the new release goes on."""
    before = await lab.worker()
    await lab.start(spec("order-1", "Changed"))
    await _until(lab, "order-1", _pack_is_done)
    before.child.send(signal.SIGTERM)
    await before.child.wait(20.0)
    await lab.worker(settings={"CHANGED": "1"})
    await lab.handle("order-1").signal("go")
    await _until(lab, "order-1", lambda workflow: workflow.failed_tasks)


async def test_a_failed_workflow_task_says_its_cause_and_its_sentence(context: RunContext) -> None:
    result = await result_of(context, _deploy_a_change)

    assert result.verdict is Verdict.FAILED
    (problem,) = problems(result, "no_workflow_task_fails")
    head = (
        "order-1: workflow task failed: NonDeterministicError: [TMPRL1100] Nondeterminism error: "
    )
    assert problem.startswith(head)
    (hanging,) = problems(result, "workflows_end_as_expected")
    assert "its workflow task is at attempt " in hanging
    assert "[TMPRL1100]" in hanging


def _going_wrong(wrong: WorkflowSpec) -> Experiment:
    async def experiment(lab: Lab) -> None:
        await starting(wrong)(lab)
        await _until(lab, wrong.workflow_id, lambda workflow: workflow.failed_tasks)

    return experiment


async def test_a_task_in_the_queue_of_a_worker_that_is_gone_says_so(context: RunContext) -> None:
    async def experiment(lab: Lab) -> None:
        worker = await lab.worker(settings={"CACHED": "10"})
        await lab.start(spec("order-1", "Wait", 3.0))
        await _until(lab, "order-1", lambda workflow: workflow.timers)
        await lab.signal(worker.child, signal.SIGKILL)

    result = await result_of(context, experiment)

    (problem,) = problems(result, "workflows_end_as_expected")
    head = "order-1 is running, not completed: its workflow task is at attempt 1, waits for "
    assert problem.startswith(f"{head}the worker that had the last one: scheduled ")
    assert problem.endswith(" s ago in its sticky queue")


# Children, continued runs, runs of schedules


async def test_a_child_that_hangs_is_named_with_what_it_waits_for(context: RunContext) -> None:
    result = await result_of(context, starting(spec("order-1", "Parent", "Charge", [40.0], "wait")))

    (problem,) = problems(result, "workflows_end_as_expected")
    head = (
        "order-1 is running, not completed: child order-1/child is open: charge_card at attempt 2"
    )
    assert problem.startswith(head)
    (problem,) = problems(result, "attempts_are_as_expected")
    assert problem.startswith("order-1: charge_card of order-1/child is not closed: at attempt 2")


async def test_a_child_that_outlives_its_parent_is_told_of_and_judged_only_where_it_is_expected(
    context: RunContext,
) -> None:
    parent = spec("order-1", "Parent", "Wait", [300.0], "leave")

    left = await result_of(context, starting(parent), undisturbed=True)
    told = [entry.text for entry in evidence_of(context).journal]

    assert left.verdict is Verdict.PASSED
    assert any(text.startswith("order-1/child still runs, and nothing waits") for text in told)

    def expecting(status: Status) -> Experiment:
        async def experiment(lab: Lab) -> None:
            await starting(parent)(lab)
            lab.expect(spec("order-1/child", "Wait", status=status))

        return experiment

    for status, is_right in ((Status.RUNNING, True), (Status.COMPLETED, False)):
        context = replace(context, folder=context.folder / status, scratch=context.scratch / status)
        result = await result_of(context, expecting(status), undisturbed=is_right)
        assert (result.verdict is Verdict.PASSED) is is_right
        assert len(result.workflows) == 2
    (problem,) = problems(result, "workflows_end_as_expected")
    assert problem.startswith("order-1/child is running, not completed: waits for a timer, due at")


async def test_all_runs_of_a_workflow_that_continues_as_new_are_judged(context: RunContext) -> None:
    checks = (*COMMON, replays_with(reasons_worker.WORKFLOWS))

    result = await result_of(
        context,
        starting(spec("order-1", "Continued", 2)),
        invariants=checks,
        undisturbed=True,
    )

    assert result.verdict is Verdict.PASSED
    workflow = evidence_of(context).workflows["order-1"]
    assert len(workflow.runs) == 3
    assert [activity.kind for activity in workflow.activities] == ["pack"] * 3
    assert (await _replayed(context, reasons_worker.OtherContinued))[0].startswith("order-1, run 1")


async def _replayed(context: RunContext, *workflows: type) -> Sequence[str]:
    check = replays_with(workflows)
    return (await asyncio.to_thread(check.examine, evidence_of(context))).problems


async def test_the_history_of_a_child_is_replayed_where_its_code_is_there(
    context: RunContext,
) -> None:
    parent = spec("order-1", "Parent", "Pack", [0.0, ""], "wait")

    result = await result_of(context, starting(parent), undisturbed=True)

    assert result.verdict is Verdict.PASSED
    own, others = reasons_worker.Pack, reasons_worker.OtherPack
    assert await _replayed(context, reasons_worker.Parent) == ()
    assert await _replayed(context, reasons_worker.Parent, own) == ()
    (problem,) = await _replayed(context, reasons_worker.Parent, others)
    assert problem.startswith("order-1/child, run 1: ")
    assert "Nondeterminism" in problem


def _by_a_schedule(kind: str, *arguments: object, runs: int) -> Experiment:
    async def experiment(lab: Lab) -> None:
        await lab.worker()
        schedule = await lab.client.create_schedule(
            "nightly",
            Schedule(
                action=ScheduleActionStartWorkflow(
                    kind,
                    args=arguments,
                    id=lab.own_id("report"),
                    task_queue=lab.stack.own_queue(lab.stack.task_queue),
                ),
                spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(timedelta(seconds=1))]),
            ),
        )
        lab.expect_started_by("nightly", lambda name: spec(name, kind))

        async def has_run() -> bool:
            return (await schedule.describe()).info.num_actions >= runs

        await wait_until(has_run, what="it has run", deadline_seconds=20)

    return experiment


async def test_the_workflows_that_a_schedule_starts_are_judged(context: RunContext) -> None:
    result = await result_of(context, _by_a_schedule("Pack", 0.0, "", runs=2), undisturbed=True)

    assert result.verdict is Verdict.PASSED
    assert len(result.workflows) >= 2
    assert all(each.workflow_id.startswith("report-2") for each in result.workflows)
    assert {each.status for each in result.workflows} == {Status.COMPLETED}


# Workflows that should still run


async def test_a_workflow_that_should_still_run_is_not_waited_for_and_completes_its_scenario(
    context: RunContext,
) -> None:
    watch = spec("watch", "Wait", 300.0, status=Status.RUNNING)
    experiment = starting(watch, spec("order-1", "Pack", 0.0, ""))

    scenario = await run_of(context, case(experiment, undisturbed=True))

    assert (scenario.verdict, scenario.status) == (Verdict.PASSED, "complete")
    assert [each.status for each in scenario.workflows] == [Status.RUNNING, Status.COMPLETED]
    assert not any("not within" in entry.text for entry in evidence_of(context).journal)


async def test_a_workflow_that_should_still_run_and_is_stuck_fails(context: RunContext) -> None:
    watch = spec("watch", "Wrong", status=Status.RUNNING)

    result = await result_of(context, _going_wrong(watch))

    assert result.verdict is Verdict.FAILED
    (problem,) = problems(result, "workflows_end_as_expected")
    assert problem.startswith("watch is running, but stuck: its workflow task is at attempt ")
    assert problem.endswith("WorkflowWorkerUnhandledFailure: LookupError: there is no such order")


# One bad case


def _raising(error: BaseException) -> Experiment:
    async def experiment(lab: Lab) -> None:
        await starting(spec("order-1", "Pack", 0.0, ""))(lab)
        raise error

    return experiment


def _unread(_: object) -> Any:
    raise RuntimeError("the books are closed")


class Unreadable(Evidence):
    @classmethod
    def load(cls, *_: object) -> Any:
        raise SystemExit(3)


async def test_whatever_one_case_raises_the_others_have_their_verdicts(context: RunContext) -> None:
    sound = starting(spec("order-1", "Pack", 0.0, ""))
    bad_books = replace(TARGET, bills=_unread)
    bad_evidence = replace(TARGET, evidence=Unreadable)

    def fails(_: Evidence) -> Iterator[str]:
        pytest.fail("it is no Exception")

    cases = [
        case(_raising(SystemExit(3)), "exits"),
        case(_raising(pytest.fail.Exception("not so")), "fails"),
        case(_raising(asyncio.CancelledError("my own")), "cancels"),
        case(sound, "load", load=_unread),
        case(sound, "needs", needs=lambda: _unread(None)),
        case(sound, "bills", target=bad_books),
        case(sound, "evidence", target=bad_evidence),
        case(sound, "check", invariants=(*COMMON, Invariant("odd", fails))),
        case(sound, "sound", undisturbed=True),
    ]

    result = await run_of(context, *cases)

    found = {each.name: each for each in result.cases}
    verdicts = {name: each.verdict for name, each in found.items()}
    assert verdicts == dict.fromkeys(found, Verdict.UNKNOWN) | {"sound": Verdict.PASSED}
    words = {
        "exits": "experiment: the experiment raised an error: SystemExit(3) (see trouble.txt)",
        "fails": "experiment: the experiment raised an error: not so (see trouble.txt)",
        "cancels": "experiment: the experiment raised an error: CancelledError('my own') (see "
        "trouble.txt)",
        "load": "the case's `load` raised an error: RuntimeError('the books are closed')",
        "needs": "the case's `needs` raised an error: RuntimeError('the books are closed')",
        "bills": "experiment: the target's bills cannot be read: RuntimeError('the books are ",
        "evidence": "there is no evidence that could be judged: SystemExit(3)",
        "check": "odd: the check raised an error: ",
    }
    for name, text in words.items():
        assert text in found[name].reason, name
    assert [each.status for each in found["bills"].workflows] == [Status.COMPLETED]
