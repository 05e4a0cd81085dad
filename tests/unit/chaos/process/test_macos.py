"""On macOS what needs Linux says so, and nothing else asks for it; the platform is patched here."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.__main__ import main
from chaos.environment.disk import why_there_are_none
from chaos.environment.packets import why_no_packets
from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.runner import _split
from chaos.process import is_linux
from chaos.process.ports import Port
from chaos.process.reaper import Reaper, tagged_processes
from chaos.process.spawner import Spawner
from tests.chaos.video.scenarios.catalogue import all_scenarios


@pytest.fixture(autouse=True)
def _macos(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(sys, "platform", "darwin")
    for asked_once in (why_there_are_none, why_no_packets):
        asked_once.cache_clear()
    yield
    for asked_once in (why_there_are_none, why_no_packets):
        asked_once.cache_clear()


def test_cases_that_need_a_small_disk_are_not_run_and_the_reason_is_said() -> None:
    kept, not_run = _split(all_scenarios(), Mode.MOCKED, Topology.DEV)

    (disk_full,) = [each for each in not_run if each.name == "disk_full"]
    assert disk_full.reason == "a small disk needs Linux's mount namespaces, and this is Darwin"
    assert len(kept) == len(all_scenarios()) - 1


@pytest.mark.parametrize("command", ["list", "doctor"])
def test_the_commands_work(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([command])
    said = capsys.readouterr().out

    assert "Traceback" not in said
    assert "disk_full" in said or "mount namespaces" in said


def test_python_programs_are_executed_and_not_forked(tmp_path: Path) -> None:
    spawner = Spawner({}, tmp_path, ["orders"])
    spawner.begin()

    assert not is_linux()
    assert not spawner.may_start([sys.executable, "-m", "orders.worker"])
    spawner.close()


def test_a_port_is_chosen_and_a_run_leaves_nothing() -> None:
    port = Port()
    assert port.number > 0
    port.release()
    with Reaper() as reaper:
        assert reaper.folder.exists()
    assert not reaper.folder.exists()
    assert not [tag for _, tag in tagged_processes() if tag == reaper.run_tag]
