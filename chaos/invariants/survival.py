"""Every workflow ends as it should, and its history can be replayed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

from chaos.evidence.case import Evidence
from chaos.invariants import Invariant, invariant, safety
from chaos.invariants.doubt import of_unfinished


@invariant
def workflows_end_as_expected(evidence: Evidence) -> Iterator[str]:
    """None is lost, none hangs, none fails that should not, and a failure says what failed."""
    if not evidence.specs:
        yield "no workflow was expected, so nothing was shown"
    for expected in evidence.specs:
        workflow = evidence.workflows.get(expected.workflow_id)
        if workflow is None:
            yield f"{expected.workflow_id} is lost: the server has no history of it"
            continue
        if workflow.status is not expected.status:
            problem = f"{expected.workflow_id} is {workflow.status}, not {expected.status}"
            yield of_unfinished(workflow, f"{problem} {workflow.failure_message}".rstrip())
        for words in expected.failure_names:
            if words not in workflow.failure_message:
                problem = f"{expected.workflow_id}: {workflow.failure_message!r} lacks {words!r}"
                yield of_unfinished(workflow, problem)


@safety
def no_workflow_task_fails(evidence: Evidence) -> Iterator[str]:
    """A failed workflow task is a fault of the workflow's code, even if a retry hides it."""
    for workflow in evidence.workflows.values():
        if workflow.task_failures:
            yield f"{workflow.workflow_id}: {workflow.task_failures} workflow task(s) failed"


def replays_with(
    workflows: Sequence[type], data_converter: DataConverter = pydantic_data_converter
) -> Invariant:
    """Today's workflow code walks every history again without a different decision."""

    def judge(evidence: Evidence) -> Iterator[str]:
        # A build id that is not given is computed, of every module that there is.
        replayer = Replayer(workflows=workflows, data_converter=data_converter, build_id="replay")
        yield from asyncio.run(_replay(evidence, replayer))

    return Invariant("histories_replay", judge, at_any_moment=True)


async def _replay(evidence: Evidence, replayer: Replayer) -> list[str]:
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # the problems say it all
    runs = [
        (f"{workflow.workflow_id}, run {number}", run)
        for workflow in evidence.workflows.values()
        for number, run in enumerate(workflow.runs, start=1)
    ]
    problems = []
    # One worker for all: to make one costs more than to replay a history.
    async with replayer.workflow_replay_iterator(_one_by_one(runs)) as results:
        for name, _ in runs:
            result = await anext(results)
            if result.replay_failure:
                problems.append(f"{name}: {result.replay_failure}"[:300])
    return problems


async def _one_by_one(
    runs: Sequence[tuple[str, WorkflowHistory]],
) -> AsyncIterator[WorkflowHistory]:
    for _, run in runs:
        yield run
