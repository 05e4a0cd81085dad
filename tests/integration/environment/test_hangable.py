"""A program that is run so can be made to hang, and else is as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]
BEATING = """
import asyncio, os, sys, threading, time

def say(text):  # print has a lock, and who is made to hang may hold it
    os.write(1, f"{text}\\n".encode())

def chatter():
    while True:
        say("thread")
        time.sleep(0.05)

async def main():
    threading.Thread(target=chatter, daemon=True).start()
    say(f"{__name__} {sys.argv[1:]}")
    while True:
        say("loop")
        await asyncio.sleep(0.05)

asyncio.run(main())
"""


def _next_lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline().strip() for _ in range(count)]


def _lines(process: subprocess.Popen[str], until: str) -> list[str]:
    found = _next_lines(process, 1)
    while found[-1] not in {until, ""}:
        found += _next_lines(process, 1)
    return found


def test_its_loop_stands_still_and_its_threads_go_on(tmp_path: Path) -> None:
    (tmp_path / "beating.py").write_text(BEATING)
    with subprocess.Popen(
        [sys.executable, "-m", "chaos.environment.hangable", "beating", "--fast"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{PROJECT}:{tmp_path}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said = _lines(process, until="loop")
            assert "__main__ ['--fast']" in said
            process.send_signal(signal.SIGUSR1)
            # What it had said before fills less than this.
            assert set(_next_lines(process, 40)[20:]) == {"thread"}
            assert process.poll() is None
        finally:
            process.kill()
