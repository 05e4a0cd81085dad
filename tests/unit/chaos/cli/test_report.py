"""`chaos report`: a run again, against another, or among all; evidence and results untouched."""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.cli import report
from chaos.evidence.case import save_books
from chaos.evidence.spec import save_specs
from chaos.experiment.judge import judge
from chaos.experiment.results import CaseResult, RunResult, case_result
from chaos.invariants.verdict import Verdict
from chaos.report.files import write_reports
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.report.made_runs import a_run, a_scenario

DATA = Path(__file__).parents[3] / "data" / "evidence" / "worker_crash"
WRITTEN = {"report.html", "results.md", "summary.md", "junit.xml"}


def _chaos_report(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    report.add(parser.add_subparsers())
    given = parser.parse_args(["report", *map(str, arguments)])
    code = given.command(given)
    assert isinstance(code, int)
    return code


def _digests(folder: Path) -> Mapping[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.name not in WRITTEN]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def crash() -> CaseResult:
    case = next(s for s in all_scenarios() if s.name == "worker_crash").cases[0]
    evidence = VIDEO.load_evidence(DATA / "sigkill_twice")
    findings = judge(case, evidence)
    return case_result(
        case, evidence, findings, root=evidence.folder.parents[1], duration_s=12.3456
    )


@pytest.fixture
def runs(tmp_path: Path, crash: CaseResult) -> Path:
    """Two runs: `old`, and `new` which is like it."""
    for name in ("old", "new"):
        shutil.copytree(DATA, tmp_path / name / "worker_crash")
        _record(tmp_path / name, crash)
    return tmp_path


def _record(folder: Path, *cases: CaseResult) -> RunResult:
    run = a_run(a_scenario("worker_crash", *cases), run_id=folder.name)
    write_reports(run, folder, environment={})
    return run


def _turn_red(folder: Path, crash: CaseResult) -> None:
    failed = Verdict.FAILED
    check = crash.checks[0].model_copy(update={"verdict": failed, "problems": ("it broke",)})
    broken = {"verdict": failed, "reason": "it broke", "checks": (check,)}
    _record(folder, crash.model_copy(update=broken))


def test_a_run_is_shown_and_its_reports_are_written_anew(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = runs / "new"
    recorded = {name: (new / name).read_text() for name in ("results.md", "summary.md")}
    for name in WRITTEN:
        (new / name).unlink(missing_ok=True)
    before = _digests(new)

    assert _chaos_report(new) == 0

    shown = capsys.readouterr().out
    assert "| 1. Worker_Crash | Complete | 12.3 s " in shown
    assert "OVERALL: 1/1 tests passed" in shown
    assert {f"Written: {new}/{name}" for name in WRITTEN} <= set(shown.splitlines())
    assert {name: (new / name).read_text() for name in recorded} == recorded
    assert (new / "report.html").read_text().startswith("<!")
    assert _digests(new) == before


def test_the_last_run_is_the_default(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.rename(runs.parent / "reports")
    monkeypatch.chdir(runs.parent)

    assert _chaos_report("--markdown") == 0

    assert "Run new, mode mocked" in capsys.readouterr().out


def test_markdown_is_all_that_is_printed_and_nothing_is_written(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in WRITTEN:
        (runs / "new" / name).unlink(missing_ok=True)

    assert _chaos_report(runs / "new", "--markdown") == 0

    shown = capsys.readouterr().out
    assert shown == (runs / "old" / "summary.md").read_text().replace("old", "new")
    assert not WRITTEN & {file.name for file in (runs / "new").iterdir()}


def test_nothing_worse_than_another_run_is_success(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _chaos_report(runs / "new", "--against", runs / "old", "--strict") == 0

    assert "Against run old, 1 case in both: nothing differs" in capsys.readouterr().out
    assert "### Compared" in (runs / "new" / "summary.md").read_text()


def test_what_turned_red_is_no_success(
    runs: Path, crash: CaseResult, capsys: pytest.CaptureFixture[str]
) -> None:
    _turn_red(runs / "new", crash)

    assert _chaos_report(runs / "new", "--against", runs / "old") == 1
    assert "Red:\n  worker_crash/sigkill_twice: failed, was passed" in capsys.readouterr().out
    assert _chaos_report(runs / "old", "--against", runs / "new", "--strict") == 0


def test_what_became_dearer_is_no_success_where_one_is_strict(
    runs: Path, crash: CaseResult
) -> None:
    _record(runs / "new", crash.model_copy(update={"waste_usd": Decimal("0.0391")}))
    compared = (runs / "new", "--markdown", "--against", runs / "old")

    assert _chaos_report(*compared) == 0
    assert _chaos_report(*compared, "--strict") == 1


def test_the_noise_can_be_chosen(runs: Path, crash: CaseResult) -> None:
    _record(runs / "new", crash.model_copy(update={"duration_s": 20.0}))
    compared = (runs / "new", "--markdown", "--strict", "--against", runs / "old")

    assert _chaos_report(*compared) == 1
    assert _chaos_report(*compared, "--noise", "100") == 0


def test_runs_without_a_common_case_cannot_be_compared(
    runs: Path, crash: CaseResult, capsys: pytest.CaptureFixture[str]
) -> None:
    _record(runs / "new", crash.model_copy(update={"name": "other"}))

    assert _chaos_report(runs / "new", "--markdown", "--against", runs / "old") == 2
    assert "have no case in common" in capsys.readouterr().err


def test_the_trend_shows_the_runs_beside_it_and_writes_nothing(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(runs.rglob("*"))

    assert _chaos_report(runs / "latest", "--trend") == 0

    assert capsys.readouterr().out.startswith("Runs (mocked, topology dev): 2, ")
    assert sorted(runs.rglob("*")) == before


def test_verdicts_stay_apart_where_the_output_is_ascii(
    runs: Path, crash: CaseResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    _turn_red(runs / "new", crash)
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))

    assert _chaos_report(runs / "new", "--trend") == 0

    shown = output.getvalue().decode()
    assert "+ passed, x failed, ? unknown" in shown
    assert "| x+ " in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "has no results.json"),
        (["new", "--against", "nowhere"], "has no results.json"),
        (["new", "--strict"], "need --against"),
        (["new", "--noise", "5"], "need --against"),
        (["new", "--trend", "--markdown"], "leave out --trend"),
        (["nowhere/at/all", "--trend"], "cannot be read"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_and_nothing_is_done(
    runs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(runs)

    assert _chaos_report(*arguments) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--noise", "-1", "--against", "x"],
        ["--noise", "much", "--against", "x"],
        ["--trend", "--against", "x"],
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _chaos_report(*arguments)

    assert caught.value.code == 2


def test_a_folder_that_cannot_be_written_is_told_after_the_tables(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "new" / "junit.xml").unlink(missing_ok=True)
    (runs / "new" / "junit.xml").mkdir()

    assert _chaos_report(runs / "new") == 2

    shown = capsys.readouterr()
    assert "OVERALL: 1/1 tests passed" in shown.out
    assert "could not be written" in shown.err
    assert list((runs / "new").glob(".*")) == []


BILLED = "image billed, $0.039"


def test_what_an_older_version_left_on_record_is_read_by_the_projects_targets(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kept no books of its own; where no target is named the page is made without them."""
    assert not list((runs / "new").rglob("bills.json"))

    assert _chaos_report(runs / "new") == 0
    assert BILLED in (runs / "new" / "report.html").read_text()

    monkeypatch.chdir(tmp_path)
    assert _chaos_report(runs / "new") == 0
    assert BILLED not in (runs / "new" / "report.html").read_text()


async def test_what_is_saved_today_needs_no_target(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = runs / "new" / "worker_crash" / "sigkill_twice"
    await save_specs(case, VIDEO.load_evidence(case).specs, VIDEO.data_converter)
    save_books(case, VIDEO.reading)
    monkeypatch.chdir(tmp_path)

    assert _chaos_report(runs / "new") == 0

    assert BILLED in (runs / "new" / "report.html").read_text()
