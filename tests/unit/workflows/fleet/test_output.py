"""Lines that nobody reads must not stop who writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from workflows.fleet.output import Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(writing)


def _read(reading: int, until: str) -> str:
    text = ""
    while until not in text:
        text += os.read(reading, 65_536).decode()
    return text


def test_lines_come_out_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    output = Output(writing)
    for number in range(100):
        output.write(f"line {number}\n")
    output.close()

    assert _read(reading, "99\n").splitlines() == [f"line {number}" for number in range(100)]
    os.close(reading)


def test_a_reader_that_sleeps_stops_nobody_and_is_told_later_what_was_dropped(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    output = Output(writing, room_lines=3)
    for _ in range(300):
        output.write("x" * 1000 + "\n")  # far more than pipe and room can hold

    text = _read(reading, "were dropped here: the reader was too slow)\n")
    assert text.count("x" * 1000) < 300
    output.write("the end\n")
    assert _read(reading, "the end\n")
    output.close()
    os.close(reading)


def test_a_reader_that_is_gone_stops_nobody(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    output = Output(writing)
    for _ in range(100):
        output.write("to nobody\n")
    output.close()
