"""`python -m chaos probe` finds with a command line alone what a crash brings to light."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from chaos.process.reaper import tagged_processes
from chaos.search.probe.record import Fate, Probe, load_probe
from tests.schemas import violations

PROJECT = Path(__file__).parents[3]
ORDERS = PROJECT / "examples" / "orders"
PLANTED = PROJECT / "tests" / "data" / "guests" / "planted"
DOUBLES = ORDERS / "orders" / "doubles.py"
INPUT = '{"order_id": "{id}", "amount_cents": 4990, "address": "Chaos Lane 1"}'


def _command(tmp_path: Path, worker: str, *more: str) -> list[str]:
    double = f"{sys.executable} {DOUBLES} {{port}} {{evidence}}"
    return [
        *(sys.executable, "-m", "chaos", "probe", "--worker", f"{sys.executable} {worker}"),
        *("--task-queue", "orders", "--workflow", "Order", "--input", INPUT),
        *("--service", f"PAYMENTS_URL={double}/charges.jsonl"),
        *("--service", f"CARRIER_URL={double}/parcels.jsonl"),
        *("--reports", str(tmp_path / "reports"), *more),
    ]


def _environment(cli: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "TEMPORAL_CLI": str(cli)}


def _probed(
    tmp_path: Path, cli: Path, worker: str, *more: str, cwd: Path = ORDERS
) -> tuple[int, str, Probe]:
    """Exit code, output and record of a probe."""
    done = subprocess.run(
        _command(tmp_path, worker, *more),
        cwd=cwd,
        env=_environment(cli),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    (folder,) = (tmp_path / "reports").glob("probe-*")
    assert (folder / "index.html").exists(), said
    assert violations(folder)["probe.json"] == []
    return done.returncode, said, load_probe(folder)


def _fates(probe: Probe) -> set[Fate]:
    return {finding.fate for finding in probe.all_findings}


@pytest.mark.timeout(180)
def test_what_is_charged_twice_is_found_at_the_boundary_that_is_named(
    tmp_path: Path, temporal_cli: Path
) -> None:
    at = "call POST /charges answered 1"
    code, said, probe = _probed(
        tmp_path, temporal_cli, "-m tests.forgetful_worker", "--at", at, "--action", "drop"
    )

    assert code == 1, said
    (cell,) = probe.cells
    assert (cell.fate, str(cell.boundary), cell.action) == (Fate.DONE_TWICE, at, "drop")
    assert f"--at '{at}' --action drop" in cell.command


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_sound_order_survives_a_sample_of_all(tmp_path: Path, temporal_cli: Path) -> None:
    code, said, probe = _probed(tmp_path, temporal_cli, "-m orders.worker", "--sample", "6")

    assert code == 0, said
    assert (len(probe.cells), probe.hit) == (6, 6)
    assert _fates(probe) <= {Fate.SURVIVED, Fate.SENT_AGAIN}


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("program", "fate", "words"),
    [
        ("no_key.py", Fate.DONE_TWICE, "the service cannot detect the repetition"),
        ("set_order.py", Fate.NOT_DETERMINISTIC, "NonDeterministicError"),
        ("no_heartbeat.py", Fate.STUCK, "only after 600 s: it has no heartbeat timeout"),
        ("deaf.py", Fate.STUCK, "continues as if it had not been"),
        ("in_memory.py", Fate.OTHER_RESULT, "is not that of the undisturbed runs"),
    ],
)
def test_a_planted_fault_is_found_by_a_probe_alone(
    program: str, fate: Fate, words: str, tmp_path: Path, temporal_cli: Path
) -> None:
    code, said, probe = _probed(tmp_path, temporal_cli, program, "--sample", "10", cwd=PLANTED)

    assert code == 1, said
    assert any(f.fate is fate and words in f.text for f in probe.all_findings), said


def _ended_after(process: subprocess.Popen[str], words: str, act: Callable[[], object]) -> str:
    """Act when it has said that, and wait; what it said."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if words in line:
            act()
            break
    rest, _ = process.communicate()
    return "".join((*said, rest))


@pytest.mark.nightly
@pytest.mark.sample
@pytest.mark.timeout(180)
def test_after_an_interrupt_what_was_done_is_kept_and_nothing_is_left(
    tmp_path: Path, temporal_cli: Path
) -> None:
    process = subprocess.Popen(
        _command(tmp_path, "-m orders.worker", "--lanes", "2"),
        cwd=ORDERS,
        env=_environment(temporal_cli),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = _ended_after(process, " 1/", lambda: process.send_signal(signal.SIGINT))

    assert process.returncode == 130, said
    (folder,) = (tmp_path / "reports").glob("probe-*")
    assert load_probe(folder).cells
    assert load_probe(folder).ended == "it was interrupted."
    assert (folder / "index.html").exists()
    own = f"-{process.pid}-"
    assert not [process for process, mark in tagged_processes() if own in Path(mark).name]


@pytest.mark.timeout(180)
def test_a_probe_that_loses_its_wire_is_no_pass(tmp_path: Path, temporal_cli: Path) -> None:
    process = subprocess.Popen(
        _command(tmp_path, "-m orders.worker", "--lanes", "2"),
        cwd=ORDERS,
        env=_environment(temporal_cli),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = _ended_after(process, " 1/", lambda: _wire_of(process).kill())

    assert process.returncode == 2, said
    assert "probe: no more workers could be started" in said
    (folder,) = (tmp_path / "reports").glob("probe-*")
    probe = load_probe(folder)
    assert "no more workers could be started" in probe.ended
    assert not any(found.fate.is_bad for found in probe.all_findings)


def _wire_of(process: subprocess.Popen[str]) -> psutil.Process:
    """It is forked by the spawner, and holds the port of each line."""
    children = psutil.Process(process.pid).children(recursive=True)
    forked = [each for each in children if each.ppid() != process.pid]
    (wire,) = (each for each in forked if "chaos.process.spawner" in each.cmdline())
    return wire


@pytest.mark.timeout(120)
def test_a_worker_that_cannot_start_is_told_in_one_sentence(
    tmp_path: Path, temporal_cli: Path
) -> None:
    folder = shutil.copytree(PLANTED, tmp_path / "planted")
    (folder / "broken.py").write_text("raise SystemExit('no database')\n")
    done = subprocess.run(
        _command(tmp_path, "broken.py"),
        cwd=folder,
        env=_environment(temporal_cli),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stdout
    assert done.stderr.startswith("probe: ")
    assert done.stderr.rstrip().endswith("give it by --port, such as --port 7233.")
    assert "Traceback" not in done.stderr
