"""Odd runs: damaged, full of links and pipes, or among odd neighbours.

A command says in one sentence which file it is and ends with 2; 1 is for what turned red. Where
many runs are looked at, one that cannot be read is left out with a note.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from chaos.__main__ import main
from chaos.evidence.journal import Event, Journal, read_journal
from chaos.experiment.results import RunResult
from chaos.invariants.verdict import Verdict
from chaos.report.files import write_reports
from chaos.report.recheck import recheck
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.unit.chaos.hostile import HOSTILE, forged, unseen
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

DATA = Path(__file__).parents[3] / "data" / "evidence"
PLACE = Path("worker_crash/sigkill_twice")
DEEP = '{"a":' * 100_000
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e30", "true")
"""None of which is a time, an amount or a count."""

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with the evidence of one case, which did not pass."""
    folder = tmp_path / "reports" / "2026-01-02T03-04-05Z"
    shutil.copytree(DATA / PLACE, folder / PLACE)
    (folder / PLACE / "logs").mkdir(exist_ok=True)
    _write(folder, a_run(a_scenario("worker_crash", a_case("sigkill_twice", "it broke"))))
    return folder


def _write(folder: Path, run: RunResult) -> None:
    assert write_reports(run, folder, environment={}) == ()


def _says(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that cannot do its work says."""
    assert main([str(each) for each in arguments]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


def _edit(folder: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads((folder / "results.json").read_text())
    edit(content)
    (folder / "results.json").write_text(json.dumps(content))


def _make_odd(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("/etc/passwd")
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            path.touch()
            os.truncate(path, 1 << 30)
        case "deep":
            path.write_text(DEEP)
        case "empty":
            path.touch()


@pytest.mark.parametrize("command", ["report", "recheck", "shrink"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "device", "huge", "deep", "empty"])
def test_results_that_are_no_file_of_ours_are_a_sentence(
    run: Path, command: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_odd(run / "results.json", kind)

    said = _says(capsys, command, run)

    assert str(run / "results.json") in said
    assert said.rstrip().endswith("restore it, or name another run.")


@pytest.mark.parametrize(
    ("field", "number"),
    [
        *product(["duration_s", "cost_usd"], [*NUMBERS, "-1"]),
        *product(["duration_s", "number"], ['"5"']),
        *product(["number", "total"], NUMBERS),
        ("started_at", '"2026-01-03T03:04:05"'),
    ],
)
def test_a_number_that_is_none_is_a_sentence(
    run: Path, number: str, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run / "results.json"
    text, changed = re.subn(rf'"{field}": [^,\n]+', f'"{field}": {number}', file.read_text())
    assert changed
    file.write_text(text)

    assert f"{field}: " in _says(capsys, "report", run)


def test_odd_neighbours_are_left_out_with_a_note(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = run.parent
    (reports / "file").touch()
    (reports / "broken").symlink_to("nowhere")
    (reports / "loop").symlink_to(".")
    os.mkfifo(reports / "pipe")
    (reports / HOSTILE[:90].replace("/", "")).mkdir()
    for number, kind in enumerate(("pipe", "device", "deep", "folder")):
        odd = reports / f"2026-01-01T00-00-0{number}Z"
        odd.mkdir()
        _make_odd(odd / "results.json", kind)

    assert main(["report", str(run), "--trend"]) == 0

    shown = capsys.readouterr().out
    assert shown.count("Left out: ") == 5
    assert unseen(shown) == set()
    assert forged(shown) == []
    assert main(["clean", "--yes", "--keep=0", f"--reports={reports}"]) == 0
    assert run.exists()


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder", "deep"])
def test_a_log_that_is_no_file_of_ours_is_left_out(
    run: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_odd(run / PLACE / "logs" / "odd.log", kind)
    _make_odd(run / PLACE / "odd.txt", kind)

    assert main(["report", str(run)]) == 0

    capsys.readouterr()
    page = (run / "report.html").read_text()
    assert "root:x:0" not in page
    assert ("odd.log" in page) == (kind == "deep")


@pytest.mark.parametrize("way", ["file", "folder"])
def test_no_link_brings_a_file_from_elsewhere_onto_the_page(run: Path, way: str) -> None:
    elsewhere = run.parents[1] / "elsewhere"
    elsewhere.mkdir()
    at = read_journal(run / PLACE / "journal.jsonl")[0].at
    (elsewhere / "worker-1.log").write_text(f"{at.isoformat()} ERROR stolen words\n")
    logs = run / PLACE / "logs"
    shutil.rmtree(logs)
    _edit(run, lambda content: content["scenarios"][0]["cases"][0].update(faults=[]))

    shutil.copytree(elsewhere, logs)
    assert main(["report", str(run)]) == 0
    assert "stolen words" in (run / "report.html").read_text(), "else the test could not fail"

    shutil.rmtree(logs)
    if way == "folder":
        logs.symlink_to(elsewhere)
    else:
        logs.mkdir()
        (logs / "worker-1.log").symlink_to(elsewhere / "worker-1.log")
    assert main(["report", str(run)]) == 0
    assert "stolen words" not in (run / "report.html").read_text()


@pytest.mark.parametrize("name", ["..", "/etc", "a/../../../..", "x" * 300, "nul\0"])
def test_no_name_of_a_case_leads_out_of_the_run(run: Path, name: str) -> None:
    _write(run, a_run(a_scenario(name, a_case(name, "it broke"))))

    assert "no file is left" in (run / "report.html").read_text()


EVIDENCE = (
    *("journal.jsonl", "ledger.jsonl", "expectations.json", "billing.json"),
    *("paid_calls.json", "prefix.txt", "promise.json", "histories/crash-single.run-1.json"),
)


@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder", "huge"])
@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_that_is_no_file_of_ours_is_told_and_never_a_pass(
    run: Path, name: str, kind: str
) -> None:
    _make_odd(run / PLACE / name, kind)

    (scenario,) = recheck(run, all_scenarios()).result.scenarios

    assert scenario.verdict is Verdict.UNKNOWN
    assert name in scenario.reason
    assert "it is" in scenario.reason
    assert main(["report", str(run)]) == 0


@pytest.mark.parametrize("name", ["promise.json", "billing.json", "histories/*.json"])
def test_evidence_that_is_too_deep_is_told(run: Path, name: str) -> None:
    file = next(iter((run / PLACE).glob(name)), run / PLACE / name)
    file.write_text(DEEP)

    (scenario,) = recheck(run, all_scenarios()).result.scenarios

    assert scenario.verdict is Verdict.UNKNOWN
    assert main(["report", str(run)]) == 0
    assert "Its evidence cannot be read" in (run / "report.html").read_text()


def test_a_line_separator_within_a_text_ends_no_line_of_a_journal(tmp_path: Path) -> None:
    """Text of guests may have any; only a newline ends a line of JSON."""
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    journal.add(Event.STAGE, HOSTILE)
    journal.add(Event.STAGE, "half \udcff")
    journal.close()

    first, second = read_journal(tmp_path / "journal.jsonl")

    assert (first.text, second.text) == (HOSTILE, r"half \udcff")


def test_a_text_that_no_file_can_hold_keeps_no_result_from_being_written(run: Path) -> None:
    odd = a_run(a_scenario("crash", a_case("one", "the file a\udcffb contains an API key")))

    _write(run, odd)

    assert r"a\\udcffb contains an API key" in (run / "results.json").read_text()


def test_the_results_are_written_whatever_is_called_latest(run: Path) -> None:
    latest = run.parent / "latest"
    latest.unlink()
    (latest / "mine").mkdir(parents=True)

    (trouble,) = write_reports(a_run(a_scenario()), run, environment={})

    assert (run / "report.html").exists()
    assert trouble.startswith(f"{latest} could not be pointed at this run")
    assert (latest / "mine").exists()
