"""Runs that nobody should have: damaged, full of links and pipes, or among odd neighbours.

A command says in one sentence which file it is and ends with 2; 1 is for what turned red. Where
many runs are looked at, one that cannot be read is left out openly.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from chaos.__main__ import main
from chaos.evidence.case import Evidence
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


@pytest.mark.parametrize("command", ["report", "recheck"])
@pytest.mark.parametrize(
    ("field", "number"),
    [
        *product(["duration_s", "cost_usd"], [*NUMBERS, "-1"]),
        *product(["duration_s", "number"], ['"5"']),
        *product(["number"], NUMBERS),
    ],
)
def test_a_number_that_is_none_is_a_sentence(
    run: Path, command: str, number: str, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(content: Any) -> None:
        for part in (content["scenarios"][0], content["scenarios"][0]["cases"][0]):
            if field in part:
                part[field] = "HERE"

    _edit(run, edit)
    file = run / "results.json"
    file.write_text(file.read_text().replace('"HERE"', number))

    assert f"{field}: " in _says(capsys, command, run)


def test_a_recovery_of_no_length_is_a_sentence(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(content: Any) -> None:
        content["scenarios"][0]["recovery_s"]["total"] = float("nan")

    _edit(run, edit)

    assert "recovery_s.total" in _says(capsys, "report", run)


def test_a_time_without_a_zone_is_left_out_of_the_trend(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run.with_name("2026-01-03T03-04-05Z")
    shutil.copytree(run, other)
    _edit(other, lambda content: content.update(started_at="2026-01-03T03:04:05"))

    assert main(["report", str(run), "--trend"]) == 0
    assert "Left out: " in capsys.readouterr().out
    assert "started_at" in _says(capsys, "report", other)


def test_odd_neighbours_are_left_out_openly_and_steer_nothing(
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
    *("paid_calls.json", "prefix.txt", "promise.json"),
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


def test_a_history_that_is_no_file_of_ours_is_no_workflow_that_is_lost(run: Path) -> None:
    history = next((run / PLACE / "histories").iterdir())
    _make_odd(history, "pipe")

    (scenario,) = recheck(run, all_scenarios()).result.scenarios

    assert scenario.verdict is Verdict.UNKNOWN
    assert history.name in scenario.reason


@pytest.mark.parametrize("name", ["promise.json", "billing.json", "histories/*.json"])
def test_evidence_that_is_too_deep_is_told(run: Path, name: str) -> None:
    file = next(iter((run / PLACE).glob(name)), run / PLACE / name)
    file.write_text(DEEP)

    (scenario,) = recheck(run, all_scenarios()).result.scenarios

    assert scenario.verdict is Verdict.UNKNOWN
    assert main(["report", str(run)]) == 0
    assert "Its evidence cannot be read" in (run / "report.html").read_text()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e30", "-1", "true", '"5"'])
def test_a_promise_that_is_no_time_is_never_kept(run: Path, number: str) -> None:
    """A bound of NaN would be passed by nothing, and one without end by all."""
    (run / PLACE / "promise.json").write_text(f'{{"recovery_seconds": {number}}}')

    with pytest.raises(ValueError, match="recovery_seconds"):
        Evidence.load(run / PLACE)


@pytest.mark.parametrize("number", ["NaN", "-1", "1e30", "true"])
def test_a_bill_that_is_no_amount_is_told(run: Path, number: str) -> None:
    file = run / PLACE / "ledger.jsonl"
    text = file.read_text()
    begin = text.index('"amount_usd":') + len('"amount_usd":')
    end = text.index(",", begin)
    file.write_text(f"{text[:begin]}{number}{text[end:]}")

    (scenario,) = recheck(run, all_scenarios()).result.scenarios

    assert scenario.verdict is Verdict.UNKNOWN


def test_a_line_separator_within_a_text_ends_no_line_of_a_journal(tmp_path: Path) -> None:
    """Text of guests may have any; only a newline ends a line of JSON."""
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    journal.add(Event.STAGE, HOSTILE)
    journal.add(Event.STAGE, "half \udcff")
    journal.close()

    first, second = read_journal(tmp_path / "journal.jsonl")

    assert (first.text, second.text) == (HOSTILE, r"half \udcff")


def test_a_text_that_no_file_can_hold_keeps_no_result_from_being_written(run: Path) -> None:
    odd = a_run(a_scenario("crash", a_case("one", "the file a\udcffb holds an API key")))

    _write(run, odd)

    assert r"a\\udcffb holds an API key" in (run / "results.json").read_text()


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_the_results_are_written_whatever_is_called_latest(run: Path, kind: str) -> None:
    latest = run.parent / "latest"
    latest.unlink()
    precious = run.parents[1] / "precious"
    precious.mkdir()
    if kind == "folder":
        (latest / "mine").mkdir(parents=True)
    elif kind == "link":
        latest.symlink_to(precious)
    else:
        latest.touch()

    troubles = write_reports(a_run(a_scenario()), run, environment={})

    assert (run / "report.html").exists()
    if kind == "folder":
        assert len(troubles) == 1
        assert troubles[0].startswith(f"{latest} could not be pointed at this run")
        assert (latest / "mine").exists()
    else:
        assert troubles == ()
        assert latest.resolve() == run


@pytest.mark.parametrize("name", ["report.html", "results.md", "summary.md", "junit.xml"])
def test_a_report_writes_through_no_link(run: Path, name: str) -> None:
    precious = run.parents[1] / "precious"
    precious.write_text("precious")
    for each in (name, f".{name}"):
        (run / each).unlink(missing_ok=True)
        (run / each).symlink_to(precious)

    assert main(["report", str(run)]) == 0

    assert precious.read_text() == "precious"
    assert not (run / name).is_symlink()
