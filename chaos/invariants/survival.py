"""Every workflow ends as it should, and its history can be replayed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

from chaos.evidence import Evidence
from chaos.invariants import Invariant, invariant
from chaos.invariants.doubt import of_unfinished
from workflows.registry import WORKFLOWS


@invariant
def workflows_end_as_expected(evidence: Evidence) -> Iterator[str]:
    """None is lost, none hangs, none fails that should not, and a failure says what failed."""
    if not evidence.expectations:
        yield "no workflow was expected, so nothing was shown"
    for expected in evidence.expectations:
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


@invariant
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
        replayer = Replayer(workflows=workflows, data_converter=data_converter)
        yield from asyncio.run(_replay(evidence, replayer))

    return Invariant("histories_replay", judge)


histories_replay = replays_with(WORKFLOWS)
"""With the suite's own workflows."""


async def _replay(evidence: Evidence, replayer: Replayer) -> list[str]:
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # the problems say it all
    problems = []
    for workflow in evidence.workflows.values():
        for number, run in enumerate(workflow.runs, start=1):
            result = await replayer.replay_workflow(run, raise_on_replay_failure=False)
            if result.replay_failure:
                problems.append(
                    f"{workflow.workflow_id}, run {number}: {result.replay_failure}"[:300]
                )
    return problems
