"""Programs that are forked are what they would be if they had been started from nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from chaos.environment.stack import StackSpec
from chaos.process.child import child_environment
from chaos.process.reaper import Reaper, tagged_processes
from chaos.process.spawner import Spawner, SpawnerError
from chaos.process.started import End
from tests.chaos.video.target import API, VIDEO
from tests.integration.conftest import BenchIn

PROGRAM = """
import os, sys, threading, time

def main():
    what, *rest = sys.argv[1:]
    if what == "tell":
        print(__name__, rest, os.getcwd(), sorted(os.environ), flush=True)
        print(len(threading.enumerate()), sorted(map(int, os.listdir("/proc/self/fd"))), flush=True)
        print("error", file=sys.stderr)
    elif what == "exit":
        sys.exit(int(rest[0]) if rest[0].isdigit() else rest[0])
    elif what == "raise":
        raise ValueError("broken")
    elif what == "sleep":
        print("sleeping", flush=True)
        time.sleep(60)
    elif what == "burn":
        while time.process_time() < float(rest[0]):
            pass

if __name__ == "__main__":
    main()
"""

Run = Callable[..., End]


@pytest.fixture
def environment(reaper: Reaper, tmp_path: Path) -> Mapping[str, str]:
    found = child_environment(reaper.run_tag, tmp_path, {})
    return {**found, "PYTHONPATH": f"{found['PYTHONPATH']}:{tmp_path}", "ONLY_HERE": "1"}


@pytest.fixture
def own(reaper: Reaper, tmp_path: Path) -> Iterator[Spawner]:
    """A spawner of the test's own."""
    (tmp_path / "program.py").write_text(PROGRAM)
    spawner = Spawner(child_environment(reaper.run_tag, tmp_path, {}), tmp_path)
    yield spawner
    spawner.close()


@pytest.fixture
def run(own: Spawner, environment: Mapping[str, str], tmp_path: Path) -> Run:
    """Start the program and wait for its end."""

    def run(*arguments: str) -> End:
        argv = (sys.executable, "-m", "program", *arguments)
        end = own.start(argv, environment, tmp_path, tmp_path / "log").wait()
        assert end
        return end

    return run


def _until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_it_is_the_main_program_with_its_own_environment_and_nothing_inherited(
    run: Run, environment: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("before\n")

    assert run("tell", "a", "b c").code == 0
    before, said, held, error = (tmp_path / "log").read_text().splitlines()
    assert (before, error) == ("before", "error")
    assert said == f"__main__ ['a', 'b c'] {tmp_path} {sorted(environment)}"
    # Its one thread; its input and output, and the folder that it lists.
    assert held.startswith("1 [0, 1, 2, ")
    assert len(held.split(", ")) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("exit", "0"), 0, ""),
        (("exit", "7"), 7, ""),
        (("exit", "a sentence"), 1, "a sentence\n"),
        (("raise",), 1, "ValueError: broken\n"),
    ],
)
def test_its_end_is_that_of_a_program(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    run: Run,
    tmp_path: Path,
) -> None:
    assert run(*arguments).code == code
    assert (tmp_path / "log").read_text().endswith(said)


def test_a_signal_ends_it_and_is_its_exit_code(
    own: Spawner, environment: Mapping[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    child = own.start((sys.executable, "-m", "program", "sleep"), environment, tmp_path, log)
    _until(lambda: "sleeping" in log.read_text(), "it sleeps")
    process = psutil.Process(child.pid)

    assert os.getsid(child.pid) == child.pid
    assert process.pid in {p.pid for p, _ in tagged_processes()}
    child.send_signal(signal.SIGKILL)

    end = child.wait()
    assert end
    assert end.code == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        child.send_signal(signal.SIGKILL)


def test_what_it_took_of_the_processors_is_its_own(run: Run) -> None:
    little = run("exit", "0").cpu_seconds
    much = run("burn", "0.5").cpu_seconds

    # The imports of what has forked it took some seconds.
    assert little < 0.3
    assert 0.5 <= much < 0.8


def test_a_spawner_that_dies_is_replaced_and_its_children_live_on(
    own: Spawner, environment: Mapping[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    argv = (sys.executable, "-m", "program", "sleep")
    child = own.start(argv, environment, tmp_path, log)
    parent = psutil.Process(child.pid).parent()
    assert parent
    parent.kill()

    other = own.start(argv, environment, tmp_path, log)

    assert psutil.Process(child.pid).is_running()
    assert psutil.Process(other.pid).ppid() != parent.pid
    for one in (child, other):
        one.send_signal(signal.SIGKILL)
    # Nobody could see the exit code of an orphan, but that it is gone.
    assert child.wait() is None
    end = other.wait()
    assert end
    assert end.code == -signal.SIGKILL


def test_one_that_cannot_be_started_is_told_so(
    own: Spawner, environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(SpawnerError, match="program could not be started: the spawner does not"):
        own.start((sys.executable, "-m", "program"), environment, tmp_path, tmp_path / "log")


@pytest.mark.parametrize(
    ("argv", "may"),
    [
        ((sys.executable, "-m", "workflows.worker"), True),
        ((sys.executable, "-m", "tests.integration.breaks.sabotage", "pays_twice"), True),
        ((sys.executable, "-m", "orders.worker"), False),
        (("/usr/bin/python3", "-m", "workflows.worker"), False),
        ((sys.executable, "worker.py", "x"), False),
        (("temporal",), False),
    ],
)
def test_only_programs_of_what_was_preloaded_are_forked(
    argv: tuple[str, ...], may: bool, tmp_path: Path
) -> None:
    assert Spawner({}, tmp_path, VIDEO.preload).may_start(argv) is may


async def test_the_workers_and_services_of_a_target_are_forked(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        worker = await bench.lab.worker()
        own = (worker.child, bench.lab.stack.services[API].child)
        lines = [psutil.Process(child.pid).cmdline() for child in own]
        folders = [psutil.Process(child.pid).cwd() for child in own]
        server = psutil.Process(bench.lab.stack.server.child.pid).cmdline()
        scratch = bench.lab.stack.placement.scratch

    assert all("chaos.process.spawner" in line for line in lines)
    assert folders == [str(scratch)] * 2  # not the project, whose `.env` is the user's own
    assert "chaos.process.spawner" not in server
