"""Every workflow ends as it should, and its history can be replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants import Invariant, Late, Unmeasured, invariant, safety
from chaos.invariants.doubt import of_unfinished
from chaos.invariants.hanging import hanging
from chaos.invariants.recovery import handover_seconds
from chaos.invariants.replaying import SLOW, Code, Replays

_UNHEARD = frozenset({Status.FAILED, Status.TIMED_OUT})


@invariant
def workflows_end_as_expected(evidence: Evidence) -> Iterator[str]:
    """None is lost, none hangs, none fails unexpectedly, and a failure says what failed. One that
    should still run does, and its workflow task neither fails nor waits. A child's failure is its
    parent's affair, as long as the parent is open. One that fails later is a problem. One that
    still runs then is none: expect it by its own id, and it is judged like any other.
    """
    if not evidence.specs:
        yield "no workflow was expected, so nothing was proven"
    for expected in evidence.specs:
        workflow = evidence.workflows.get(expected.workflow_id)
        if workflow is None:
            yield f"{expected.workflow_id} is lost: the server has no history of it"
        else:
            yield from _ends(evidence, expected, workflow)
            yield from _unheard(evidence, workflow)


def _ends(evidence: Evidence, expected: WorkflowSpec, workflow: Workflow) -> Iterator[str]:
    name = expected.workflow_id
    if workflow.status is not expected.status:
        why = workflow.failure_told or hanging(evidence, workflow)
        problem = f"{name} is {workflow.status}, not {expected.status}"
        yield of_unfinished(workflow, f"{problem}: {why}" if why else problem, evidence)
    elif workflow.status is Status.RUNNING:
        yield from _stuck(evidence, workflow)
    for words in expected.failure_names:
        if words not in workflow.failure_message:
            problem = f"{name}: {workflow.failure_message!r} lacks {words!r}"
            yield of_unfinished(workflow, problem, evidence)


def _stuck(evidence: Evidence, workflow: Workflow) -> Iterator[str]:
    """Of a workflow that should still run: whether it could."""
    pending = workflow.pending
    if pending is None:
        yield Unmeasured(
            f"{workflow.workflow_id} is running, and what it waits for is not on record, so it "
            "may be stuck"
        )
    elif pending.task:
        why = f"{workflow.workflow_id} is running, but stuck: {hanging(evidence, workflow)}"
        if workflow.failing:
            yield why
        elif (pending.at - pending.task.since).total_seconds() > handover_seconds(evidence):
            yield Late(why)


def _unheard(evidence: Evidence, workflow: Workflow) -> Iterator[str]:
    """The children that failed when nothing waited for them any more."""
    children = evidence.descendants(workflow)
    closed_at = {run.run_id: each.closed_at for each in (workflow, *children) for run in each.runs}
    for child in children:
        left_at = closed_at.get(child.parent[1]) if child.parent else None
        if child.status in _UNHEARD and child.closed_at and left_at and child.closed_at > left_at:
            why = f": {child.failure_told}" if child.failure_told else ""
            yield (
                f"{workflow.workflow_id}: its child {child.workflow_id} is {child.status}, and "
                f"nothing waited for it any more{why}"
            )


@safety
def no_workflow_task_fails(evidence: Evidence) -> Iterator[str]:
    """A failed workflow task is a bug in the workflow's code, even if a retry hides it."""
    for workflow in evidence.all_workflows:
        failed = workflow.failed_tasks
        if not failed:
            continue
        task = workflow.pending.task if workflow.pending else None
        retried = f"; it is at attempt {task.attempt}" if task and task.attempt > 1 else ""
        more = f" ({len(failed)} in all; this is the first)" if len(failed) > 1 else ""
        told = f"{workflow.workflow_id}: workflow task failed: {failed[0]}{retried}{more}"
        yield Late(told) if all(SLOW in str(each) for each in failed) else told


def replays_with(
    workflows: Sequence[type], data_converter: DataConverter = pydantic_data_converter
) -> Invariant:
    """An invariant: today's workflow code replays every history without a different decision.

    Args:
        workflows: the workflow classes. Children of other types are left out: they may belong
            to another program.
        data_converter: reads the payloads.

    """
    code = Code(workflows, data_converter)

    def judge(evidence: Evidence) -> Iterator[str]:
        children = [child for child in evidence.children if child.kind in code.kinds]
        yield from asyncio.run(_replay([*evidence.workflows.values(), *children], code))

    return Replays("histories_replay", judge, at_any_moment=True, code=code)


async def _replay(workflows: Sequence[Workflow], code: Code) -> list[str]:
    """The histories as they are, and not up to each workflow task: today's code made them, and has
    gone on from each of these.
    """
    runs = [
        (f"{workflow.workflow_id}, run {number}", run)
        for workflow in workflows
        for number, run in enumerate(workflow.runs, start=1)
    ]
    names = iter(runs)
    problems = []
    async for _, failure in code.replayed(_one_by_one(runs)):
        name, _ = next(names)
        if failure:
            told = f"{name}: {failure}"
            problems.append(Late(told) if SLOW in told else told)
    return problems


async def _one_by_one(
    runs: Sequence[tuple[str, WorkflowHistory]],
) -> AsyncIterator[WorkflowHistory]:
    for _, run in runs:
        yield run
