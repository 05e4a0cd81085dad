from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.report.html.logs import Line, excerpt, read_lines

BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOURNAL = (Entry(at=BEGIN, event=Event.STARTED, target="worker-1", pid=7),)


def _read(folder: Path, **logs: str) -> list[Line]:
    for name, text in logs.items():
        (folder / f"{name.replace('_', '-')}.log").write_text(text)
    return list(read_lines(folder, JOURNAL))


def _line(seconds: float, text: str = "it goes on", level: str = "INFO") -> Line:
    return Line(BEGIN + timedelta(seconds=seconds), "worker-1", level, text)


@pytest.mark.parametrize(
    ("raw", "level", "text"),
    [
        (
            "2026-01-02 03:04:06,500 WARNING workflows.alerts: late",
            "WARN",
            "workflows.alerts: late",
        ),
        (
            "\x1b[2m2026-01-02T03:04:06.500000Z\x1b[0m \x1b[33m WARN\x1b[0m core: late",
            "WARN",
            "core: late",
        ),
        ('time=2026-01-02T03:04:06.500 level=ERROR msg="it broke"', "ERROR", 'msg="it broke"'),
        ('{"level":"error","ts":"2026-01-02T03:04:06.500Z","msg":"it broke"}', "ERROR", "it broke"),
        ("2026-01-02T03:04:06.500+00:00 said", "", "said"),
    ],
)
def test_a_line_has_its_time_its_level_and_its_words(
    tmp_path: Path, raw: str, level: str, text: str
) -> None:
    (line,) = _read(tmp_path, worker_1=f"{raw}\n")

    assert line == Line(BEGIN + timedelta(seconds=1.5), "worker-1", level, text)


def test_a_time_without_a_zone_is_of_the_machine_that_ran(tmp_path: Path) -> None:
    (line,) = _read(tmp_path, worker_1="2026-01-02 08:34:06,500 INFO in a zone of 5 h 30 min\n")

    assert line.at == BEGIN + timedelta(seconds=1.5)


def test_a_supervisors_workers_are_told_apart(tmp_path: Path) -> None:
    lines = _read(
        tmp_path,
        fleet_1="2026-01-02 03:04:06,0 INFO own\nworker-2 | 2026-01-02 03:04:07,0 INFO its\n",
    )

    assert [line.source for line in lines] == ["fleet-1", "fleet-1 worker-2"]


def test_of_a_stack_trace_the_last_words_are_kept(tmp_path: Path) -> None:
    trace = "Traceback (most recent call last):\n  File x, line 1\nValueError: the reason\n"
    (line,) = _read(tmp_path, worker_1=f"2026-01-02 03:04:06,0 ERROR it broke\n{trace}")

    assert (line.text, line.ending) == ("it broke", "ValueError: the reason")


def test_a_failed_attempt_is_said_in_short(tmp_path: Path) -> None:
    ended = (
        "temporalio.activity: Completing activity as failed ({'activity_id': '2', "
        "'activity_type': 'start_video', 'attempt': 1, 'workflow_id': 'outage-5'})"
    )
    (line,) = _read(tmp_path, worker_1=f"2026-01-02 03:04:07,0 WARNING {ended}\n")

    assert line.shown == "attempt 1 of start_video, outage-5, failed"


def test_the_servers_fields_are_said_in_short() -> None:
    line = _line(0, 'msg="service failures" shard-id=1 operation=Start error="shard \\"1\\" gone"')

    assert line.shown == 'service failures: Start: shard \\"1\\" gone'


def test_logs_that_cannot_be_read_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "worker-1.log").mkdir()
    (tmp_path / "worker-2.log").write_bytes(b"\xff\xfe no time at all\n")

    assert read_lines(tmp_path, ()) == []
    assert read_lines(tmp_path / "missing", JOURNAL) == []


def test_only_what_was_said_in_a_window_is_chosen() -> None:
    window = (BEGIN, BEGIN + timedelta(seconds=2))

    found = excerpt([_line(-1), _line(1, "within"), _line(3)], [window], most=10)

    assert [line.text for line in found.lines] == ["within"]
    assert found.omitted == 0


def test_warnings_and_errors_come_first_where_there_is_too_much() -> None:
    lines = [
        *(_line(n, f"{word} goes on") for n, word in enumerate("abcd")),
        _line(9, "!", "ERROR"),
    ]

    found = excerpt(lines, [(BEGIN, BEGIN + timedelta(seconds=10))], most=2)

    assert [line.text for line in found.lines] == ["a goes on", "!"]
    assert found.omitted == 3


def test_similar_lines_are_counted() -> None:
    lines = [_line(n, f"retried {n} times") for n in range(5)]

    (line,) = excerpt(lines, [(BEGIN, BEGIN + timedelta(seconds=10))], most=10).lines

    assert (line.text, line.repeats) == ("retried 0 times", 4)
