"""How starved the machine was, from counters that only grow."""

import asyncio
import os
import time
from pathlib import Path

import psutil
import pytest

from chaos.evidence import headroom
from chaos.evidence.headroom import CALM, LONGEST_STRETCH, Meter, Strain, worst


def _strain(pressure: float = 0.0, steal: float = 0.0, lag_seconds: float = 0.0) -> Strain:
    return Strain(pressure=pressure, steal=steal, lag_seconds=lag_seconds)


@pytest.fixture
def stalls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's file, in which a test writes what it likes."""
    file = tmp_path / "cpu"
    monkeypatch.setattr(headroom, "_STALL_FILES", (file, tmp_path / "absent"))
    _write(file, 0)
    return file


def _write(file: Path, microseconds: int) -> None:
    file.write_text(
        f"some avg10=1.00 avg60=1.00 avg300=1.00 total={microseconds}\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )


def test_a_calm_machine_is_not_busy_and_its_seconds_count_in_full() -> None:
    assert not CALM.is_busy
    assert CALM.pace == 1


@pytest.mark.parametrize(
    "strain", [_strain(pressure=0.5), _strain(steal=0.1), _strain(lag_seconds=1.0)], ids=str
)
def test_each_figure_alone_makes_it_busy(strain: Strain) -> None:
    assert strain.is_busy


def test_a_starved_second_counts_less_but_never_nothing() -> None:
    assert _strain(pressure=0.4).pace == pytest.approx(0.6)
    assert _strain(pressure=1.0).pace == 1 / LONGEST_STRETCH


def test_the_worst_of_several_windows_has_the_highest_of_each() -> None:
    found = worst([_strain(0.2, 0.3, 0.1), _strain(0.9, 0.0, 0.4)])

    assert found == _strain(0.9, 0.3, 0.4)


def test_it_says_in_words_how_starved_it_was() -> None:
    assert str(_strain(0.87, 0.0, 1.25)) == (
        "up to 87% of the time a process waited for a processor, "
        "and the harness was up to 1.2 s late"
    )
    assert "the host took 25% of them" in str(_strain(0.87, 0.25))


async def test_the_kernels_stalls_become_pressure(stalls: Path) -> None:
    told: list[Strain] = []
    with Meter().watched(told.append):
        await asyncio.sleep(0.2)
        _write(stalls, 100_000)

    (strain,) = told
    assert 0.2 <= strain.pressure <= 0.5  # 0.1 s of a little more than 0.2


async def test_without_such_a_file_the_queue_for_processors_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headroom, "_STALL_FILES", (tmp_path / "absent",))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (3.5, 0.0, 0.0))
    told: list[Strain] = []
    with Meter().watched(told.append):
        pass

    assert told[0].pressure == 0.75


@pytest.mark.usefixtures("stalls")
async def test_a_loop_that_was_kept_from_running_is_told_as_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(headroom, "SAMPLE_SECONDS", 0.05)
    meter = Meter()
    measuring = asyncio.create_task(meter.run())
    told: list[Strain] = []
    with meter.watched(told.append):
        await asyncio.sleep(0.01)
        time.sleep(0.3)  # noqa: ASYNC251 - this is what blocks the loop
        await asyncio.sleep(0.1)
    measuring.cancel()

    assert told[-1].lag_seconds >= 0.2


@pytest.mark.usefixtures("stalls")
async def test_the_clock_for_deadlines_goes_slower_while_the_machine_is_starved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    meter = Meter()
    meter.latest = _strain(pressure=1.0)
    begun = meter.fair_seconds()
    now += 40.0

    assert meter.fair_seconds() - begun == pytest.approx(10.0)


@pytest.mark.usefixtures("stalls")
async def test_a_long_case_is_told_window_by_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(headroom, "SAMPLE_SECONDS", 0.02)
    monkeypatch.setattr(headroom, "WINDOW_SECONDS", 0.1)
    meter = Meter()
    measuring = asyncio.create_task(meter.run())
    told: list[Strain] = []
    with meter.watched(told.append):
        await asyncio.sleep(0.35)
    count = len(told)
    await asyncio.sleep(0.15)
    measuring.cancel()

    assert count >= 3
    assert len(told) == count  # nobody is told any more
