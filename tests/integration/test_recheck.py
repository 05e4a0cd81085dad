"""`python -m chaos recheck` as a process of its own, watched from within."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

PROJECT = Path(__file__).parents[2]
EVIDENCE = PROJECT / "tests" / "data" / "evidence" / "checkpoint" / "sigkill_after_video_1"

WATCHED = """
import os, sys

def watch(event, arguments):
    starts = event in {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
                       "os.spawn", "os.system", "pty.spawn"}
    connects = event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}
    opens = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    changes = event in {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate",
                        "os.link", "os.symlink"}
    if starts or connects or opens or changes:
        sys.stderr.write(f"WATCHED {event} {arguments}\\n")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
from chaos.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one case, whose results say nothing of its checks."""
    folder = tmp_path / "run"
    shutil.copytree(EVIDENCE, folder / "checkpoint" / EVIDENCE.name)
    cost = Decimal("3.639")
    billed = {"image": 1, "video": 3}
    case = a_case(EVIDENCE.name, cost_usd=cost, ideal_cost_usd=cost, billed=billed, checks=())
    result = a_run(a_scenario("checkpoint", case), run_id="run")
    (folder / "results.json").write_text(result.model_dump_json(by_alias=True))
    return folder


def _python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_starts_nothing_connects_to_nothing_and_writes_nothing(run: Path) -> None:
    done = _python("-c", WATCHED, "recheck", str(run), cwd=PROJECT)

    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "OVERALL: 1/1 tests passed"


def test_the_watch_sees_what_is_written(run: Path) -> None:
    """Else the test above could not fail."""
    done = _python("-c", WATCHED, "recheck", str(run), "--write", cwd=PROJECT)

    seen = [line for line in done.stderr.splitlines() if line.startswith("WATCHED open ('")]
    assert [".recheck.json." in seen[0], ".recheck.md." in seen[1], len(seen)] == [True, True, 2]


def test_a_replay_that_fails_is_told_in_the_verdict_alone(run: Path) -> None:
    file = run / "checkpoint/sigkill_after_video_1/histories/checkpoint-series.run-1.json"
    file.write_text(file.read_text().replace('"start_video"', '"burn_video"', 1))

    done = _python("-m", "chaos", "recheck", str(run), cwd=PROJECT)

    assert done.returncode == 1
    assert "histories_replay: not recorded, now failed: checkpoint-series, run 1" in done.stdout
    assert done.stdout.startswith("Run run (mocked), judged again")
    assert done.stderr == ""


ORDERS = PROJECT / "tests" / "data" / "orders"
GUEST = PROJECT / "examples" / "orders"


def test_a_guests_run_of_an_older_version_is_judged_by_its_own_targets() -> None:
    done = _python("-m", "chaos", "recheck", str(ORDERS), cwd=GUEST / "tests")

    assert "OVERALL: 3/3 tests passed" in done.stdout
    assert done.stderr == ""


def test_what_was_lost_is_seen_there(tmp_path: Path) -> None:
    run = shutil.copytree(ORDERS, tmp_path / "run")
    (run / "worker_dies_charging/sigkill/histories/order-killed.run-1.json").unlink()

    done = _python("-m", "chaos", "recheck", str(run), cwd=GUEST)

    assert done.returncode == 1
    assert "order-killed is lost" in done.stdout
    assert "OVERALL: 2/3 tests passed" in done.stdout


def test_a_project_without_targets_judges_nothing(run: Path, tmp_path: Path) -> None:
    done = _python("-m", "chaos", "recheck", str(run), cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{tmp_path}/pyproject.toml names no target: add a table")
