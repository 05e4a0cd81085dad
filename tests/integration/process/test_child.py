from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from chaos.evidence.journal import Event, Journal, read_journal
from chaos.process.child import Child, ChildError, child_environment
from chaos.process.waiting import wait_until

Make = Callable[[str], Child]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Children that run a line of Python."""
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    children: list[Child] = []

    def child(code: str) -> Child:
        children.append(
            Child(
                name=f"child-{len(children) + 1}",
                argv=(sys.executable, "-c", code),
                environment=child_environment("no run", tmp_path, {"EXTRA": "1"}),
                folder=tmp_path,
                log=tmp_path / f"{len(children)}.log",
                journal=journal,
            )
        )
        return children[-1]

    yield child
    for child_ in children:
        await child_.discard()
    journal.close()


WAIT = "import time; print('up', flush=True); time.sleep(60)"


async def _until_up(child: Child) -> None:
    await wait_until(lambda: "up" in child.last_lines(), what="up", deadline_seconds=20)


async def test_a_killed_child_is_journaled_with_its_signal(make: Make, tmp_path: Path) -> None:
    child = make(WAIT)
    child.start()
    await _until_up(child)

    await child.kill()

    entries = read_journal(tmp_path / "journal.jsonl")
    assert [(e.event, e.signal, e.exit_code) for e in entries] == [
        (Event.STARTED, None, None),
        (Event.SIGNALED, "SIGKILL", None),
        (Event.EXITED, None, -signal.SIGKILL),
    ]
    assert {e.pid for e in entries} == {child.pid}
    assert not child.is_alive


async def test_a_killed_group_takes_along_who_has_left_it(make: Make, tmp_path: Path) -> None:
    gone = tmp_path / "pid"
    child = make(
        "import os, subprocess, sys, time\n"
        "stray = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(gone)!r}, 'w').write(str(stray.pid))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    child.is_group = True
    child.start()
    await _until_up(child)
    stray = psutil.Process(int(gone.read_text()))

    await child.kill()

    await wait_until(
        lambda: not stray.is_running() or stray.status() == psutil.STATUS_ZOMBIE,
        what="the stray is gone",
        deadline_seconds=5,
    )


async def test_an_exit_nobody_asked_for_is_journaled(make: Make, tmp_path: Path) -> None:
    child = make("raise SystemExit(3)")
    child.start()

    assert await child.wait(20) == 3
    assert read_journal(tmp_path / "journal.jsonl")[-1].exit_code == 3


async def test_terminate_lets_a_child_end_by_itself(make: Make) -> None:
    child = make(f"import signal; signal.signal(signal.SIGTERM, lambda *_: exit(7)); {WAIT}")
    child.start()
    await _until_up(child)

    await child.terminate()

    assert await child.wait(1) == 7


async def test_a_paused_child_stands_still_until_it_is_resumed(make: Make) -> None:
    child = make(WAIT)
    child.start()
    await _until_up(child)
    process = psutil.Process(child.pid)

    child.pause()
    await wait_until(lambda: process.status() == "stopped", what="stopped", deadline_seconds=5)
    child.resume()
    await wait_until(lambda: process.status() != "stopped", what="resumed", deadline_seconds=5)


async def test_a_child_can_be_started_again(make: Make) -> None:
    child = make(WAIT)
    child.start()
    await child.kill()
    first = child.pid

    child.start()

    assert child.is_alive
    assert child.pid != first


async def test_a_child_that_ended_too_early_is_reported_with_its_last_lines(make: Make) -> None:
    child = make("raise SystemExit('the port is taken')")
    child.start()
    await child.wait(20)

    with pytest.raises(ChildError, match="the port is taken"):
        child.require_alive()


async def test_what_was_wrong_is_told_though_a_long_trace_follows(make: Make) -> None:
    trace = "".join(f"    at frame{number} (file.js:{number})\n" for number in range(10))
    child = make(f"raise SystemExit('Error: no module\\n' + {trace!r} + '\\n\\nNode.js v20')")
    child.start()
    await child.wait(20)

    assert child.last_lines() == "Error: no module\nNode.js v20"


@pytest.mark.parametrize("mode", [None, 0o644])
async def test_a_program_that_was_not_built_is_told(
    mode: int | None, make: Make, tmp_path: Path
) -> None:
    program = tmp_path / "worker"
    if mode is not None:
        program.touch(mode)
    child = dataclasses.replace(make(""), argv=("./worker",))

    with pytest.raises(ChildError, match=r"because \./worker cannot be executed \(.+\): build or"):
        child.start()


async def test_nothing_of_the_users_environment_gets_in(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIzaUsersKey")
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1")
    child = make("import os; print(sorted(os.environ))")
    child.start()
    await child.wait(20)

    assert "EXTRA" in child.last_lines()
    assert "GEMINI_API_KEY" not in child.last_lines()
    assert "HTTPS_PROXY" not in child.last_lines()


BURN = "import time\nwhile time.process_time() < 0.5: pass"


async def test_what_it_took_of_the_processors_is_journaled_with_that_of_its_children(
    make: Make, tmp_path: Path
) -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    children = [make(code) for code in ("pass", BURN, parent)]
    for child in children:
        child.start()
        assert await child.wait(20) == 0

    took = [e.cpu_seconds for e in read_journal(tmp_path / "journal.jsonl") if e.cpu_seconds]
    assert took == sorted(took)
    little, own, both = took
    assert little < 0.4
    assert 0.5 <= own < 0.9
    assert both < 1.3


async def test_a_child_that_was_never_started_cannot_be_hit(make: Make) -> None:
    with pytest.raises(ChildError, match="never started"):
        make(WAIT).send(signal.SIGKILL)
