"""The pipe between a worker and its supervisor: whole lines or none, and nobody ever waits."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from workflows.fleet import reports
from workflows.fleet.reports import (
    REPORTS_VARIABLE,
    SENDER_VARIABLE,
    Event,
    Report,
    SupervisorLink,
)

PATIENCE_SECONDS = 10.0
THREADS, LINES = 8, 200


@dataclass
class Pipe:
    """Both ends; the writing one as a worker has it."""

    reading: int
    writing: int

    @property
    def link(self) -> SupervisorLink:
        return SupervisorLink("a sender", self.writing)

    def read(self) -> bytes:
        """All that is in it now."""
        data = b""
        with suppress(BlockingIOError):
            while chunk := os.read(self.reading, 1 << 16):
                data += chunk
        return data

    def reports(self) -> list[Report]:
        """All that was told until now; fails where a line is torn."""
        data = self.read()
        assert not data or data.endswith(b"\n")
        return [Report.model_validate_json(line) for line in data.splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    yield Pipe(reading, writing)
    for end in (reading, writing):
        with suppress(OSError):
            os.close(end)


def fill(pipe: Pipe) -> int:
    """Tell until the pipe takes no more; how many lines it took."""
    count = 0
    while select.select([], [pipe.writing], [], 0)[1]:
        pipe.link.tell(Event.BEGAN, token=b"in the way", what=str(count))
        count += 1
    # What is left is less than an atomic write needs, so a short line may fit still: use it up.
    with suppress(BlockingIOError):
        while True:
            os.write(pipe.writing, b"\n")
    return count


@pytest.mark.parametrize(
    "report",
    [
        Report(event=Event.READY, identity="7@host"),
        Report(event=Event.BEAT),
        Report(event=Event.BEGAN, token=bytes(range(256)), what="await_video of ÄÖÜ"),
        Report(event=Event.ENDED, token=b"\x00\xff\n"),
        Report(event=Event.WORKFLOW, workflow_id="a\nb"),
    ],
    ids=lambda report: report.event,
)
def test_what_is_told_is_what_is_heard(pipe: Pipe, report: Report) -> None:
    pipe.link.tell(**dict(report))
    assert pipe.reports() == [report]


def test_a_full_pipe_drops_a_line_and_nobody_waits(pipe: Pipe) -> None:
    fill(pipe)
    telling = threading.Thread(
        target=pipe.link.tell, args=(Event.BEAT,), kwargs={"what": "lost"}, daemon=True
    )
    telling.start()
    telling.join(PATIENCE_SECONDS)
    assert not telling.is_alive()
    assert b"lost" not in pipe.read()


def test_after_a_full_pipe_was_read_lines_come_through_again(pipe: Pipe) -> None:
    told = fill(pipe)
    pipe.link.tell(Event.BEAT, what="lost")
    kept = [line for line in pipe.read().splitlines() if line]
    pipe.link.tell(Event.BEAT)
    assert told > 100
    assert [Report.model_validate_json(line).what for line in kept] == [
        str(number) for number in range(len(kept))
    ]
    assert pipe.reports() == [Report(event=Event.BEAT)]


def longest(pipe: Pipe) -> int:
    """Letters of `what` with which a line just fits into one atomic write."""
    pipe.link.tell(Event.BEAT, what="")
    return select.PIPE_BUF - len(pipe.read())


def test_a_line_that_could_be_torn_is_dropped(pipe: Pipe) -> None:
    longest_what = "x" * longest(pipe)
    pipe.link.tell(Event.BEAT, what=longest_what)
    pipe.link.tell(Event.BEAT, what=longest_what + "x")
    assert pipe.reports() == [Report(event=Event.BEAT, what=longest_what)]


def test_threads_that_tell_at_the_same_time_tear_no_line(pipe: Pipe) -> None:
    text = "x" * (longest(pipe) - 10)

    def tell(thread: int) -> None:
        for line in range(LINES):
            select.select([], [pipe.writing], [], PATIENCE_SECONDS)
            pipe.link.tell(Event.BEAT, what=f"{thread}:{line:03}:{text}")

    threads = [threading.Thread(target=tell, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    data = b""
    while any(thread.is_alive() for thread in threads):
        select.select([pipe.reading], [], [], 0.01)
        data += pipe.read()
    data += pipe.read()

    assert data.endswith(b"\n")
    heard = [Report.model_validate_json(line).what or "" for line in data.splitlines()]
    assert {len(what) for what in heard} == {len(text) + 6}
    assert len(heard) > LINES  # some may find no room, most do
    for thread_number in range(THREADS):
        mine = [what for what in heard if what.startswith(f"{thread_number}:")]
        assert mine == sorted(set(mine))


def test_a_supervisor_that_is_gone_is_no_failure_of_the_worker(pipe: Pipe) -> None:
    os.close(pipe.reading)
    pipe.link.tell(Event.BEAT)


# Who is a worker


def test_a_worker_that_no_supervisor_started_is_no_member(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SENDER_VARIABLE, REPORTS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    assert SupervisorLink.of_this_process() is None


def test_a_member_never_waits_for_its_supervisor_to_read(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    log_reading, log_writing = os.pipe()
    os.set_blocking(pipe.writing, True)
    monkeypatch.setenv(SENDER_VARIABLE, "a sender")
    monkeypatch.setenv(REPORTS_VARIABLE, str(pipe.writing))
    with os.fdopen(log_writing, "w") as log, os.fdopen(log_reading):
        monkeypatch.setattr(sys, "stderr", log)
        link = SupervisorLink.of_this_process()
        assert link == pipe.link
        assert not os.get_blocking(pipe.writing)
        assert not os.get_blocking(log_writing)


# What a worker says and hears while it works


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The supervisor's end of this process's standard input."""
    # It would hold for the process that runs the tests, for good.
    monkeypatch.setattr(reports, "_wake_up_when_the_supervisor_dies", lambda: None)
    reading, writing = os.pipe()
    with os.fdopen(reading) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield writing
    with suppress(OSError):
        os.close(writing)


async def test_it_says_that_it_is_ready_and_then_that_it_lives(
    pipe: Pipe, stdin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    del stdin
    monkeypatch.setattr(reports, "BEAT_SECONDS", 0.001)
    heard: list[Report] = []
    async with pipe.link.kept("7@host", lambda: None):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(heard) < 4:
                heard += pipe.reports()
                await asyncio.sleep(0.001)
    assert heard[0] == Report(event=Event.READY, identity="7@host")
    assert {report.event for report in heard[1:]} == {Event.BEAT}


async def test_it_stops_once_its_supervisor_is_gone(pipe: Pipe, stdin: int) -> None:
    stopped: list[None] = []
    async with pipe.link.kept("7@host", lambda: stopped.append(None)):
        os.write(stdin, b"no reason to stop")
        await asyncio.sleep(0.05)
        assert stopped == []
        os.close(stdin)
        await asyncio.sleep(0.05)
    # And only once: its attempts in flight may take a while.
    assert stopped == [None]
