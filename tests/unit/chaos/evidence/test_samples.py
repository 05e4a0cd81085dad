"""What was measured during a case: kept, read back, and nothing that breaks it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.evidence import samples as module
from chaos.evidence.case import Evidence
from chaos.evidence.samples import (
    BACKLOG,
    SAMPLES,
    Sample,
    SampleFile,
    SamplesError,
    over_time,
    read_samples,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORDERS = {"task_queue": "orders", "kind": "workflow"}


def _evidence(folder: Path) -> Evidence:
    return Evidence(folder=folder, specs=(), workflows={}, journal=())


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "case")
    latency = Sample(
        at=AT, name="latency_seconds", value=1.5, count=3, buckets={"0.1": 1, "+Inf": 3}
    )
    file.add(BACKLOG, 3, ORDERS, at=AT)
    file.write([latency])
    file.close()

    first, second = _evidence(tmp_path / "case").samples

    assert (first.at, first.name, first.value, first.labels) == (AT, BACKLOG, 3.0, ORDERS)
    assert second == latency


def test_nothing_measured_leaves_no_file(tmp_path: Path) -> None:
    file = SampleFile(tmp_path)
    for value in (math.nan, math.inf, -math.inf):
        file.add(BACKLOG, value)
    file.write([])
    file.close()

    assert not list(tmp_path.iterdir())
    assert _evidence(tmp_path).samples == ()


def test_what_comes_after_the_end_or_beyond_the_limit_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 200)
    file = SampleFile(tmp_path)
    for number in range(100):
        file.add(BACKLOG, number, at=AT)
    size = (tmp_path / SAMPLES).stat().st_size
    file.close()
    file.add(BACKLOG, 1)

    assert 0 < size <= 200
    assert (tmp_path / SAMPLES).stat().st_size == size


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_file_that_cannot_be_written_breaks_nothing(kind: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    if kind == "folder":
        (tmp_path / SAMPLES).mkdir()
    else:
        (tmp_path / SAMPLES).symlink_to(tmp_path / "other")
    file = SampleFile(tmp_path)
    file.add(BACKLOG, 1)
    file.close()

    assert (tmp_path / "other").read_text() == "kept"


def test_a_last_line_whose_writer_was_killed_is_left_out(tmp_path: Path) -> None:
    file = SampleFile(tmp_path)
    file.add(BACKLOG, 1, at=AT)
    file.close()
    with (tmp_path / SAMPLES).open("a") as torn:
        torn.write('{"at":"2026-01-0')

    assert [sample.value for sample in read_samples(tmp_path)] == [1.0]


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        '{"at":"2026-01-02T03:04:05Z","name":"x"}',
        '{"at":"2026-01-02T03:04:05","name":"x","value":1}',
        '{"at":"2026-01-02T03:04:05Z","name":"x","value":NaN}',
        '{"at":"2026-01-02T03:04:05Z","name":"x","value":1e999}',
        '{"at":"2026-01-02T03:04:05Z","name":"x","value":"1"}',
    ],
)
def test_another_damage_is_told_with_its_line(line: str, tmp_path: Path) -> None:
    good = '{"at":"2026-01-02T03:04:05Z","name":"x","value":1}'
    (tmp_path / SAMPLES).write_text(f"{good}\n{line}\n{good}\n")

    with pytest.raises(SamplesError, match=r"^line 2 of samples\.jsonl is damaged: keep the file"):
        _evidence(tmp_path).samples  # noqa: B018 - it is read when it is asked for


def test_what_waits_in_several_queues_is_added_up_at_each_moment() -> None:
    later = AT + timedelta(seconds=1)
    samples = [
        Sample(at=at, name=name, value=value, labels={"task_queue": queue})
        for at, name, value, queue in (
            (AT, BACKLOG, 2, "orders"),
            (AT, BACKLOG, 3, "mails"),
            (AT, "other", 9, "orders"),
            (later, BACKLOG, 1, "orders"),
        )
    ]

    assert over_time(samples, BACKLOG) == ((AT, 5.0), (later, 1.0))
    assert over_time(samples, BACKLOG, task_queue="mails") == ((AT, 3.0),)
    assert over_time(samples, "unknown") == ()


def test_absurd_labels_are_cut_and_can_be_written(tmp_path: Path) -> None:
    file = SampleFile(tmp_path)
    file.add("a\ud800" * 1_000, 1, {"b\udfff" * 1_000: "c\ud800\n" * 10_000})
    file.close()

    (sample,) = read_samples(tmp_path)

    assert len(sample.name) == 200
    assert [(len(name), len(value)) for name, value in sample.labels.items()] == [(200, 2_000)]
