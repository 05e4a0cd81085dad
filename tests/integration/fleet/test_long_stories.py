"""Stories that take long: they run at the same time, and each test reads one of them."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.evidence.history import Status, Workflow
from tests.chaos.video import specs
from tests.integration.fleet import odd
from tests.integration.fleet.supervised import (
    WAIT,
    Lost,
    Supervised,
    all_gone,
    ends,
    is_there,
    only,
    pid_of,
    supervised,
    was_failed_over,
)
from tests.integration.workflows.bench import Bench
from workflows.fleet.restart_backoff import LOOP_DEATHS
from workflows.fleet.supervisor import DRAIN_SECONDS
from workflows.policies import HEARTBEAT_TIMEOUT, RETRY_POLICY

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

PATIENCE_SECONDS = 120.0
ODD = ("-m", "tests.integration.fleet.odd")


@dataclass(frozen=True)
class Story:
    """What became of a workflow, and of the supervisor that it was with."""

    made: Supervised
    workflow: Workflow
    billed: Sequence[str]
    prompts: Sequence[str]
    log: str
    losses: Sequence[Lost] = ()
    tally: Mapping[str, int] | None = None
    pid: int = 0
    left: Sequence[int] = ()
    exit_code: int | None = None
    at: datetime | None = None


async def supervisor_and_worker_killed(bench: Bench) -> Story:
    """The supervisor is paused when its worker dies, and killed before it can act."""
    spec = specs.single("both-killed")
    async with supervised(bench, 2, name=spec.workflow_id) as first:
        pids = first.supervisor.pids
        halt, pid = await first.awaiting(spec)
        first.supervisor.child.pause()
        killed_at = first.kill(pid)
        await first.supervisor.child.kill()
        await all_gone([*pids, first.supervisor.child.pid])
    async with supervised(bench, 1, name=spec.workflow_id) as second:
        await halt.resume()
        workflow = await ends(bench, spec, PATIENCE_SECONDS)
        left = [one for one in pids if is_there(one)]
        billed = await bench.billed(spec)
        return Story(
            *(second, workflow, billed, spec.prompts, first.log),
            losses=first.losses,
            pid=pid,
            left=left,
            at=killed_at,
        )


async def event_loop_hangs(bench: Bench) -> Story:
    spec = specs.single("hangs")
    async with supervised(bench, 2, name=spec.workflow_id, command=(*ODD, "hangs")) as made:
        pids = made.supervisor.pids
        await made.start(spec)
        await made.says("hangs; it is killed", PATIENCE_SECONDS)
        workflow = await ends(bench, spec, PATIENCE_SECONDS)
        await made.is_complete_again()
        left = [pid for pid in pids if pid not in made.supervisor.pids]
        exit_code = await made.finish()
        billed = await bench.billed(spec)
        return Story(
            *(made, workflow, billed, spec.prompts, made.log),
            losses=made.losses,
            tally=made.tally,
            left=left,
            exit_code=exit_code,
        )


async def crash_loop(bench: Bench, flaw: Path) -> Story:
    """From some time on the first worker cannot start."""
    spec = specs.single("crash-loop")
    settings = {odd.FLAW_VARIABLE: str(flaw)}
    async with supervised(
        bench, 2, name=spec.workflow_id, command=(*ODD, "crashes"), settings=settings
    ) as made:
        pid, other = made.pid_at(1), made.pid_at(2)
        await asyncio.to_thread(flaw.touch)
        made.kill(pid)
        await made.says("in a row soon after its start", PATIENCE_SECONDS)
        await made.start(spec)
        workflow = await ends(bench, spec, PATIENCE_SECONDS)
        await asyncio.to_thread(flaw.unlink)
        log = made.log
        await made.is_complete_again()
        exit_code = await made.finish()
        billed = await bench.billed(spec)
        return Story(*(made, workflow, billed, spec.prompts, log), pid=other, exit_code=exit_code)


async def does_not_stop(bench: Bench) -> Story:
    spec = specs.single("before-the-stop")
    async with supervised(bench, 2, name=spec.workflow_id, command=(*ODD, "stays")) as made:
        await made.start(spec)
        workflow = await ends(bench, spec, PATIENCE_SECONDS)
        pid = made.pid_at(1)
        made.supervisor.child.send(signal.SIGTERM)
        exit_code = await made.supervisor.child.wait(PATIENCE_SECONDS)
        billed = await bench.billed(spec)
        return Story(
            *(made, workflow, billed, spec.prompts, made.log),
            losses=made.losses,
            pid=pid,
            exit_code=exit_code,
        )


Stories = Mapping[str, "asyncio.Task[Story]"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stories(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stories]:
    flaw = tmp_path_factory.mktemp("crash-loop") / "flaw"
    told = {
        "both": supervisor_and_worker_killed(bench),
        "hang": event_loop_hangs(bench),
        "loop": crash_loop(bench, flaw),
        "stay": does_not_stop(bench),
    }
    tasks = {name: asyncio.create_task(story) for name, story in told.items()}
    await asyncio.wait(tasks.values())  # the failure of one is that of its own test
    yield tasks


async def test_a_supervisor_that_is_killed_before_it_fails_over_leaves_it_to_the_heartbeats(
    stories: Stories,
) -> None:
    story = await stories["both"]
    wait = only(story.workflow, WAIT)
    assert list(story.losses) == []
    assert story.workflow.status is Status.COMPLETED
    assert (wait.attempt, wait.lost_its_heartbeat) == (2, True)
    assert wait.started_at
    assert story.at
    assert wait.started_at - story.at > RETRY_POLICY.initial_interval
    assert wait.started_at - story.at < 2 * HEARTBEAT_TIMEOUT + RETRY_POLICY.initial_interval
    assert story.billed == list(story.prompts)
    assert story.left == []


async def test_a_worker_whose_event_loop_hangs_is_killed_replaced_and_failed_over(
    stories: Stories,
) -> None:
    story = await stories["hang"]
    wait = only(story.workflow, WAIT)
    assert story.workflow.status is Status.COMPLETED
    assert (wait.attempt, was_failed_over(wait)) == (2, True)
    (lost,) = story.losses
    assert story.left == [lost.pid]
    assert f"worker-{lost.number} (pid {lost.pid}) hangs; it is killed" in story.log
    assert (lost.how, lost.failed_over) == ("SIGKILL", 1)
    assert story.exit_code == 0
    assert story.tally
    assert story.tally == {
        "starts": 3,
        "losses": 1,
        "paused": 0,
        "hung": 1,
        "failed_over": 1,
        "over": lost.over,
        "left_to_heartbeats": 0,
        "open_calls_settled": 0,
    }
    assert story.billed == list(story.prompts)


async def test_a_crash_loop_is_told_with_the_last_lines_and_the_others_go_on(
    stories: Stories,
) -> None:
    story = await stories["loop"]
    first_told = re.search(
        r"worker-1 has ended (\d+) times in a row soon after its start; it is started again in "
        r"(\S+) s\. Its last lines:\n(.*)",
        story.log,
    )
    assert first_told
    assert int(first_told[1]) == LOOP_DEATHS
    assert first_told[3] == f"    worker: {odd.LAST_WORDS}."
    assert float(first_told[2]) >= 8.0
    # Before its message there were as many deaths, each with its own start, and no more.
    before = story.log[: first_told.start()]
    assert before.count(f"worker-1 | worker: {odd.LAST_WORDS}.") in {LOOP_DEATHS - 1, LOOP_DEATHS}
    assert "worker-2 (pid" not in story.log
    assert story.workflow.status is Status.COMPLETED
    assert {pid_of(done.worker) for done in story.workflow.activities} == {story.pid}
    assert story.billed == list(story.prompts)
    # Without the flaw, all workers run again.
    assert story.exit_code == 0


async def test_a_worker_that_does_not_stop_is_killed_and_only_that_one(stories: Stories) -> None:
    story = await stories["stay"]
    assert story.exit_code == 1
    assert f"stopping: attempts in flight may take {DRAIN_SECONDS:g} s" in story.log
    assert re.findall(r"(worker-\d) \(pid \d+\) does not end; it is killed", story.log) == [
        "worker-1"
    ]
    assert [(lost.pid, lost.how) for lost in story.losses] == [(story.pid, "SIGKILL")]
    assert "worker-2 (pid" in story.log
    assert story.workflow.status is Status.COMPLETED
