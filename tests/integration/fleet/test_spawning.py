"""Workers are forked by a spawner, whose death harms no worker."""

from __future__ import annotations

import signal

import psutil
import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.integration.fleet.supervised import (
    DEADLINE_SECONDS,
    Supervised,
    all_gone,
    ends,
    supervised,
)
from tests.integration.workflows.bench import Bench

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


def _spawner(made: Supervised) -> psutil.Process:
    """The one child of a supervisor that is no worker."""
    children = psutil.Process(made.supervisor.child.pid).children()
    (found,) = (child for child in children if child.pid not in made.supervisor.pids)
    return found


async def test_a_worker_is_a_fork_and_the_supervisors_own_child(bench: Bench) -> None:
    async with supervised(bench, 2, name="forked") as made:
        spawner, workers = _spawner(made), [psutil.Process(pid) for pid in made.supervisor.pids]

        assert spawner.num_threads() == 1
        assert spawner.cmdline() == psutil.Process(made.supervisor.child.pid).cmdline()
        for worker in workers:
            assert worker.ppid() == made.supervisor.child.pid
            assert worker.cmdline() == spawner.cmdline()
        assert await made.finish() == 0
        await all_gone([spawner.pid, *(worker.pid for worker in workers)])


async def test_a_spawner_that_dies_takes_no_worker_along_and_is_replaced(bench: Bench) -> None:
    spec = specs.single("spawner-dies")
    async with supervised(bench, 1, name=spec.workflow_id) as made:
        halt, pid = await made.awaiting(spec)
        first = _spawner(made)
        first.kill()
        await all_gone([first.pid])
        assert made.supervisor.pids == [pid]

        made.kill(pid)
        await made.is_complete_again()
        await halt.resume()

        assert (await ends(bench, spec, DEADLINE_SECONDS)).status is Status.COMPLETED
        assert [lost.how for lost in made.losses] == [signal.SIGKILL.name]
        assert await bench.billed(spec) == list(spec.prompts)
        assert _spawner(made).pid != first.pid
        assert "workflows.fleet.spawner" in _spawner(made).cmdline()


async def test_children_that_are_ignored_by_inheritance_are_waited_for_all_the_same(
    bench: Bench,
) -> None:
    """As from a shell that has said `trap '' CHLD`."""
    ignored = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        async with supervised(bench, 1, name="ignored-children") as made:
            signal.signal(signal.SIGCHLD, ignored)
            (pid,) = made.supervisor.pids
            assert psutil.Process(pid).cmdline() == _spawner(made).cmdline()
            made.kill(pid)
            assert (await made.has_lost(pid)).how == signal.SIGKILL.name
            await made.is_complete_again()
            assert await made.finish() == 0
    finally:
        signal.signal(signal.SIGCHLD, ignored)


async def test_it_goes_with_a_supervisor_that_is_killed(bench: Bench) -> None:
    async with supervised(bench, 1, name="fleet-dies") as made:
        pids = [_spawner(made).pid, *made.supervisor.pids]
        await made.supervisor.child.kill()
        await all_gone(pids)
