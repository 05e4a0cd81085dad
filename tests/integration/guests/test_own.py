"""A guest's processes run on its own interpreter, in its own folder, with its own variables."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import venv
from pathlib import Path

import psutil
import pytest

from chaos.environment.readiness import LogLine, OpenPort, Polls
from chaos.environment.target import Service, Target
from chaos.environment.worker import WorkerProcess
from chaos.evidence.journal import Event, read_journal
from chaos.process.child import (
    IMPORT_PATH,
    ChildError,
    child_environment,
    guest_environment,
)
from chaos.process.ports import Port
from chaos.process.reaper import Reaper
from chaos.process.spawner import Spawner
from chaos.process.waiting import DeadlineExceededError, wait_until
from tests.integration.guests.conftest import GUESTS, StackOf

TELLS = """
import json, os, sys, time
from pathlib import Path
told = {"path": sys.path, "prefix": sys.prefix, "cwd": os.getcwd(), **os.environ}
Path(sys.argv[1]).write_text(json.dumps(told))
print("told", flush=True)
time.sleep(60)
"""

SERVES = 'python -c "$0" $1 & exec python -m http.server $2'


async def test_python_is_that_of_its_own_project(
    stack_of: StackOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    venv.create(project / ".venv", with_pip=False)
    (project / "pyproject.toml").touch()
    (project / "src").mkdir()
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    monkeypatch.setenv("PATH", f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}")
    target = Target(
        worker=("python", "-c", TELLS, "{evidence}/worker.json"),
        task_queue="any",
        ready=LogLine("^told$"),
        passed=("REGION",),
        cwd=Path("src"),
        services=(
            Service(
                name="double",
                argv=("sh", "-c", SERVES, TELLS, "{evidence}/double.json", "{port}"),
                variable="DOUBLE_URL",
            ),
        ),
    )

    async with stack_of(target, project=project) as stack:
        await stack.start_worker()
        told = [
            json.loads((tmp_path / "evidence" / name).read_text())
            for name in ("worker.json", "double.json")
        ]

    for each in told:
        assert each["prefix"] == str(project / ".venv")
        assert each["cwd"] == str(project / "src")
        assert each["REGION"] == "eu"
        assert each["HOME"] == str(tmp_path / "scratch")
        assert "SECRET_OF_MINE" not in each
        assert "PYTHONPATH" not in each
        assert each["VIRTUAL_ENV"] == str(project / ".venv")
        assert not [p for p in each["path"] if p.startswith((IMPORT_PATH, sys.prefix))]
        assert str(Path(sys.prefix) / "bin") not in each["PATH"].split(os.pathsep)


async def test_the_users_home_is_there_for_who_asks(
    stack_of: StackOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "mine"))
    target = Target(
        worker=(sys.executable, "-c", TELLS, "{evidence}/worker.json"),
        task_queue="any",
        ready=LogLine("told"),
        passed=("HOME",),
    )

    async with stack_of(target, project=tmp_path) as stack:
        await stack.start_worker()

    assert json.loads((tmp_path / "evidence" / "worker.json").read_text())["HOME"] == str(
        tmp_path / "mine"
    )


def test_a_program_that_is_forked_finds_nothing_of_the_suites_either(
    reaper: Reaper, tmp_path: Path
) -> None:
    (tmp_path / "telling.py").write_text("import sys\nprint(sys.path, flush=True)")
    own = guest_environment(reaper.run_tag, tmp_path, {}, folder=tmp_path)
    ours = child_environment(reaper.run_tag, tmp_path, {})
    spawner = Spawner(ours, tmp_path, ["telling"])
    try:
        for name, environment in (("own", own), ("ours", ours)):
            argv = (sys.executable, "-m", "telling")
            assert spawner.may_start(argv)
            spawner.start(argv, environment, tmp_path, tmp_path / name).wait()
    finally:
        spawner.close()

    assert f"'{IMPORT_PATH}'" in (tmp_path / "ours").read_text()
    assert f"'{IMPORT_PATH}'" not in (tmp_path / "own").read_text()
    assert str(tmp_path) in (tmp_path / "own").read_text()


async def test_a_port_may_say_that_it_is_ready(stack_of: StackOf, tmp_path: Path) -> None:
    port = Port()
    serving = (sys.executable, "-m", "http.server", str(port.number))
    target = Target(worker=serving, task_queue="any", ready=OpenPort(port.number))

    async with stack_of(target, project=tmp_path) as stack:
        await stack.start_worker()
        assert await port.is_open()
    port.release()


async def test_a_function_may_say_that_it_is_ready(stack_of: StackOf, tmp_path: Path) -> None:
    asked: list[str] = []

    async def third_time(worker: WorkerProcess) -> bool:
        asked.append(worker.child.name)
        return len(asked) == 3

    target = Target(worker=("sleep", "60"), task_queue="any", ready=third_time)

    async with stack_of(target, project=tmp_path) as stack:
        await stack.start_worker()
    assert asked == ["worker-1"] * 3


async def test_a_port_that_is_open_before_says_nothing(stack_of: StackOf, tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    target = Target(worker=("sleep", "60"), task_queue="any", ready=OpenPort(number))

    async with server, stack_of(target, project=tmp_path) as stack:
        with pytest.raises(ChildError, match=f"port {number}, which shows that worker-1 is ready"):
            await stack.start_worker()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_all_that_a_command_line_starts_ends_with_it(
    stack_of: StackOf, tmp_path: Path, number: signal.Signals
) -> None:
    """A child that takes its time to end is waited for."""
    child = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), sys.exit()))\n"
        "print('child is up', flush=True)\n"
        "time.sleep(60)"
    )
    target = Target(
        worker=("sh", "-c", '"$0" -c "$1"; true', sys.executable, child),
        task_queue="any",
        ready=LogLine("child is up"),
    )

    async with stack_of(target, project=tmp_path) as stack:
        worker = (await stack.start_worker()).child
        members = set(worker.group)
        assert len(members) == 2
        worker.pause()
        await wait_until(
            lambda: {psutil.Process(pid).status() for pid in members} == {psutil.STATUS_STOPPED},
            what="both stand still",
            deadline_seconds=5,
        )
        worker.resume()
        worker.send(number)
        assert await worker.wait(20) == -number
        assert worker.group == []

    journal = read_journal(tmp_path / "journal.jsonl")
    (end,) = (e for e in journal if e.event is Event.EXITED and e.target == "worker-1")
    sent = next(e for e in journal if e.signal == number.name)
    took_seconds = (end.at - sent.at).total_seconds()
    assert took_seconds >= 1 if number is signal.SIGTERM else took_seconds < 1


async def test_who_never_polls_is_told_which_pollers_there_are(
    stack_of: StackOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = "chaos.environment.worker.READY_DEADLINE_SECONDS"
    monkeypatch.setattr(deadline, 15.0)
    target = Target(
        worker=(sys.executable, "worker.py", "activity"),
        task_queue="shop",
        ready=Polls(["workflow", "activity"]),
        settings={"IDENTITY": "packer"},
        cwd=GUESTS / "shop",
    )

    async with stack_of(target, project=tmp_path) as stack:
        with pytest.raises(DeadlineExceededError) as never:
            await stack.start_worker()

        assert str(never.value) == (
            "worker-1 polls shop: not within 15 s. It must poll shop for workflow and activity "
            "tasks; packer (activity tasks of shop) counts."
        )
        monkeypatch.setattr(deadline, 1.0)
        with pytest.raises(DeadlineExceededError) as idle:
            await stack.start_worker(argv=("sleep", "60"))

    assert str(idle.value).endswith(
        "packer (activity tasks of shop) existed before the start, and has not polled since."
    )
