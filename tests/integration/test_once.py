"""Whatever would repeat or share out a run of scenarios: here a guest's, which does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.process.programs import find_temporal_cli

CONFTEST = """
from _pytest.runner import runtestprotocol

pytest_plugins = ["chaos.plugin"]


def pytest_addoption(parser):
    # As pytest-rerunfailures and pytest-forked do, which need not be here.
    parser.addoption("--reruns", type=int)
    parser.addoption("--force-reruns", type=int)
    parser.addini("reruns", "")
    parser.addoption("--forked", action="store_true")
    parser.addoption("--any-other-repeater", action="store_true")


def pytest_configure(config):
    config.addinivalue_line("markers", "flaky: as pytest-rerunfailures has it")


def pytest_runtest_protocol(item, nextitem):
    if item.config.getoption("--any-other-repeater"):
        for _ in range(2):
            runtestprotocol(item, nextitem=nextitem)
        return True
"""
GUEST = """
import sys

import pytest

from chaos import Case, Scenario, Target, invariant


async def nothing(lab):
    print("nothing is done", file=open("done.txt", "a"))


@invariant
def holds(evidence):
    yield from ()


SCENARIOS = (
    Scenario(
        name="nothing",
        title="Nothing",
        cases=(
            Case(
                name="once",
                target=Target(worker=(sys.executable,), task_queue="q"),
                experiment=nothing,
                load=lambda _: (),
                proofs=(),
                undisturbed=True,
                invariants=(holds,),
            ),
        ),
    ),
)


@pytest.mark.chaos
{mark}
def test_survives(scenario, survives):
    survives(scenario)


def test_of_another_kind():
    pass
"""

pytestmark = pytest.mark.timeout(120)


@dataclass
class Guest:
    """Somebody's project with one scenario."""

    folder: Path

    def write(self, *, mark: str = "", ini: str = "") -> None:
        (self.folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
        (self.folder / "conftest.py").write_text(CONFTEST)
        (self.folder / "test_guest.py").write_text(GUEST.format(mark=mark))

    def pytest(self, *arguments: str, size: str = "chaos") -> subprocess.CompletedProcess[str]:
        plugins = ("-p", "no:cacheprovider", "-p", "xdist.plugin")
        temporary = self.folder / "tmp"
        temporary.mkdir()
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-m", size, *plugins, *arguments],
            cwd=self.folder,
            env={**_environment(), "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    @property
    def times_done(self) -> int:
        done = self.folder / "done.txt"
        return len(done.read_text().splitlines()) if done.exists() else 0

    @property
    def left(self) -> list[str]:
        """What a run would leave, or have there while it goes on."""
        own = {"pytest.ini", "conftest.py", "test_guest.py", "__pycache__", "tmp"}
        found = [each for each in self.folder.iterdir() if each.name not in own]
        # pytest-xdist makes a folder for each of its workers, whatever they do.
        temporary = [f for f in (self.folder / "tmp").iterdir() if "pytest-of-" not in f.name]
        return sorted(each.name for each in (*found, *temporary))


def _environment() -> dict[str, str]:
    # Of this run's own, where it is one of pytest-xdist's workers.
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**mine, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture(scope="module", autouse=True)
def temporal_cli() -> Path:
    """Found once, so that no run has to build it."""
    return find_temporal_cli(None, announce=print).path


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-n", "2"], "remove -n and --dist, or add -n 0"),
        (["--dist", "each", "--tx", "popen"], "remove -n and --dist, or add -n 0"),
        (["--reruns", "1"], "a rerun of its test would run nothing"),
        (["--force-reruns", "1"], "a rerun of its test would run nothing"),
        (["--forked"], "remove --forked"),
        (
            ["--keep-duplicates", "test_guest.py", "test_guest.py"],
            "nothing was chosen 2 times, and a scenario runs once in a run",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_would_not_run_it_once_is_refused_before_anything_is_started(
    arguments: Sequence[str], sentence: str, guest: Guest
) -> None:
    guest.write()

    run = guest.pytest(*arguments)

    assert run.returncode == pytest.ExitCode.USAGE_ERROR, run.stdout + run.stderr
    assert sentence in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert guest.left == []


@pytest.mark.parametrize(
    ("ini", "mark", "is_refused"),
    [
        ("reruns = 1", "", True),
        ("", "@pytest.mark.flaky(reruns=2)", True),
        ("", "@pytest.mark.flaky", True),
        ("reruns = 1", "@pytest.mark.flaky(reruns=0)", False),
        ("reruns = 0", "", False),
    ],
)
def test_reruns_that_are_set_for_good_are_refused_unless_a_test_is_exempt(
    ini: str, mark: str, is_refused: bool, guest: Guest
) -> None:
    guest.write(ini=ini, mark=mark)

    run = guest.pytest()

    assert (run.returncode == pytest.ExitCode.USAGE_ERROR) == is_refused, run.stdout + run.stderr
    assert ("a rerun of its test would run nothing" in run.stderr) == is_refused
    assert guest.times_done == (0 if is_refused else 1)


def test_a_repetition_that_nobody_foresaw_is_no_second_result(guest: Guest) -> None:
    guest.write()

    run = guest.pytest("--any-other-repeater", "-k", "survives")

    assert "nothing has run once, and this repetition of its test ran nothing." in run.stdout
    assert "1 failed, 1 passed" in run.stdout
    assert guest.times_done == 1


@pytest.mark.parametrize("arguments", [["-n", "0"], ["-p", "no:xdist"]], ids=" ".join)
def test_without_workers_it_runs_once(arguments: Sequence[str], guest: Guest) -> None:
    guest.write()

    run = guest.pytest(*arguments)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "OVERALL: 1/1 tests passed" in run.stdout
    assert guest.times_done == 1


def test_workers_may_run_all_that_is_no_scenario(guest: Guest) -> None:
    guest.write()

    run = guest.pytest("-n", "2", size="not chaos")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan", "--collect-only"])
def test_what_only_shows_tests_starts_nothing(option: str, guest: Guest) -> None:
    guest.write()

    run = guest.pytest(option)

    assert run.returncode == 0, run.stdout + run.stderr
    says_so = "Nothing was run: --setup-only and --setup-plan start no scenario." in run.stdout
    assert says_so == (option != "--collect-only")
    assert "OVERALL" not in run.stdout
    assert guest.left == []


@pytest.mark.parametrize(
    ("mark", "is_run"),
    [
        ("@pytest.mark.skip", False),
        ("@pytest.mark.skipif(True, reason='not here')", False),
        ("@pytest.mark.skipif(condition=True, reason='not here')", False),
        ("@pytest.mark.skipif(False, reason='not here')", True),
    ],
)
def test_a_scenario_whose_test_is_skipped_is_not_run(mark: str, is_run: bool, guest: Guest) -> None:
    guest.write(mark=mark)

    run = guest.pytest()

    assert run.returncode == 0, run.stdout + run.stderr
    assert ("1 skipped" in run.stdout) != is_run
    assert guest.times_done == is_run
    assert ("reports" in guest.left) == is_run


def test_scenarios_run_beside_files_that_cannot_be_collected(guest: Guest) -> None:
    guest.write()
    (guest.folder / "test_broken.py").write_text("import nothing_of_this_name\n")

    run = guest.pytest("--continue-on-collection-errors")

    assert "OVERALL: 1/1 tests passed" in run.stdout
    assert guest.times_done == 1
