from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from chaos.guardian import MARK, Guard, marked_processes, sweep_stale
from chaos.waiting import wait_until

SLEEP = "import time; print('up', flush=True); time.sleep(120)"
# A child, and a child of the child, as a fleet would have.
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
PARENT = f"""
import subprocess, sys
from chaos.guardian import MARK, Guard
guard = Guard().__enter__()
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}], env={{MARK: guard.mark}}, start_new_session=True
)
print(guard.mark, flush=True)
child.wait()
"""
Start = Callable[[str, Mapping[str, str]], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a line of Python in a session of its own, and end it after the test."""
    with ExitStack() as stack:

        def popen(code: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    env=dict(environment),
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield popen


def _alive(mark: str) -> int:
    return sum(found == mark for _, found in marked_processes())


async def test_a_killed_run_leaves_no_child_grandchild_or_folder(start: Start) -> None:
    parent = start(PARENT, os.environ)
    assert parent.stdout
    mark = parent.stdout.readline().strip()
    await wait_until(lambda: _alive(mark) == 2, what="both are up", deadline_seconds=20)

    parent.send_signal(signal.SIGKILL)

    await wait_until(lambda: _alive(mark) == 0, what="none is left", deadline_seconds=20)
    await wait_until(lambda: not Path(mark).exists(), what="no folder", deadline_seconds=20)


async def test_a_run_whose_guardian_died_too_is_cleared_up_by_the_next(start: Start) -> None:
    with Guard() as guard:
        folder = guard.folder.with_name(f"{guard.folder.name}-stale")
        folder.mkdir()
        stale = str(folder)
        left_over = start(SLEEP, {MARK: stale})
        ours = start(SLEEP, {MARK: guard.mark})
        await wait_until(
            lambda: _alive(stale) + _alive(guard.mark) == 2, what="both", deadline_seconds=20
        )

        sweep_stale()

        assert left_over.wait(10) == -signal.SIGKILL
        assert not folder.exists()
        assert ours.poll() is None, "a living run was hit"
    assert ours.wait(10) == -signal.SIGKILL
    assert not guard.folder.exists()
