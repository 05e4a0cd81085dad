"""Explored as it is: a command line that knows one queue and one namespace, under a shell."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.environment.target import Target
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants.verdict import Verdict
from chaos.process.reaper import Reaper
from chaos.search.crash.lanes import Means
from chaos.search.crash.points import CrashPoint
from chaos.search.explore.explorer import explore
from chaos.search.explore.plan import Choice, Plan
from chaos.search.explore.state import State
from chaos.wire.boundary import Boundary
from tests.integration.search.plain_worker import QUEUE

PROJECT = Path(__file__).parents[3]
RUN = f"{shlex.quote(sys.executable)} -m tests.integration.search.plain_worker"
PLAIN = Target(
    worker=("sh", "-c", f"{RUN}; exit $?"),
    task_queue=QUEUE,
    cwd=PROJECT,
    specs={
        "plain": lambda name: WorkflowSpec(workflow_id=name, workflow_type="Plain", arguments=(2,))
    },
)

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(300)]


@pytest.fixture
def means(reaper: Reaper, temporal_cli: Path) -> Means:
    return Means(target=PLAIN, temporal_cli=temporal_cli, reaper=reaper, say=print, lanes=3)


@pytest.mark.sample
async def test_timers_children_and_further_runs_are_explored(means: Means, tmp_path: Path) -> None:
    choice = Choice(specs=("plain",), sample=6)
    with closing(State.begin(tmp_path)) as state:
        await explore(state, choice, means)
        outcomes = {outcome.planned.name: outcome for outcome in state.outcomes()}

    assert state.plan
    kinds = {each.point.kind for each in state.plan.everything}
    assert {"workflow_task Child completing", "workflow_task Plain completing"} <= kinds
    assert any(not each.point.is_own for each in state.plan.everything)
    verdicts = {name: outcome.verdict for name, outcome in outcomes.items()}
    assert set(verdicts.values()) == {Verdict.PASSED}, [o.attempts for o in outcomes.values()]
    assert len(verdicts) == 6


async def test_a_stop_that_no_run_comes_to_is_not_reached(means: Means, tmp_path: Path) -> None:
    choice = Choice(specs=("plain",), sample=1)
    with closing(State.begin(tmp_path)) as state:
        await explore(state, choice, replace(means, seconds=0.001))
        assert state.plan
        never = CrashPoint(boundaries=(Boundary.parse("activity greet completing 7"),))
        reference = state.plan.references[0].model_copy(update={"stops": (never,)})
        state.save_plan(Plan.of(Choice(specs=("plain",)), [reference]))
        await explore(state, choice, means)
        (outcome,) = state.outcomes()

    assert (outcome.verdict, outcome.is_reached) == (Verdict.UNKNOWN, False)
    assert json.loads(outcome.attempts[-1].model_dump_json())["status"] == "completed"
