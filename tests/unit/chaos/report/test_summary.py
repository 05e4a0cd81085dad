"""The summary for a pull request: the verdict first, whole for GitHub, whatever a problem says."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from chaos.experiment.coverage import Combination, Coverage, Hit, Phase
from chaos.experiment.results import CheckResult, NotRun, RunResult
from chaos.invariants.verdict import Verdict
from chaos.report.compare import compare
from chaos.report.files import write_reports
from chaos.report.summary import MOST_BYTES, append_step_summary, summary
from tests.unit.chaos.report.made_runs import a_case, a_fault, a_recovery, a_run, a_scenario

READER = MarkdownIt("commonmark").enable("table")
GOOD = a_scenario("good", number=1)
BAD = a_scenario("bad", a_case("one", "it broke"), number=2)
ODD = a_scenario("odd", a_case("one", "who knows", verdict=Verdict.UNKNOWN), number=3)
ABSENT = NotRun(number=4, name="disk", title="Disk", reason="nobody may mount here")
RUN = a_run(GOOD, BAD, ODD, not_run=[ABSENT])


def _of(run: RunResult) -> str:
    return summary(run, environment={})


def _with_problems(count: int, text: str = "it broke") -> RunResult:
    check = CheckResult(check="it_holds", verdict=Verdict.FAILED, problems=(text,) * count)
    return a_run(a_scenario("bad", a_case("one", text, checks=(check,))))


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (a_run(GOOD), "## ✓ Fault tolerance: 1 of 1 tests passed"),
        (a_run(GOOD, BAD), "## ✗ Fault tolerance: 1 of 2 tests passed, 1 failed"),
        (a_run(GOOD, ODD), "## ? Fault tolerance: 1 of 2 tests passed, 1 unknown"),
        (RUN, "## ✗ Fault tolerance: 1 of 3 tests passed, 1 failed, 1 unknown, 1 not run"),
        (a_run(not_run=[ABSENT]), "## ? Fault tolerance: 0 of 0 tests passed, 1 not run"),
    ],
)
def test_the_verdict_comes_first_and_only_passes_are_a_pass(run: RunResult, line: str) -> None:
    assert _of(run).splitlines()[0] == line


def test_each_scenario_has_a_row_with_a_sign_that_needs_no_colour() -> None:
    slow = a_case("one", waste_usd=Decimal("0.039"), faults=(a_fault(a_recovery(redo=9.0)),))
    lines = _of(a_run(a_scenario("slow", slow), BAD, ODD, not_run=[ABSENT])).splitlines()

    rows = [line for line in lines if line.startswith("|")][2:]
    assert rows == [
        "| ✓ passed | 1. Slow | 40.0 s | $1.24 | $0.039 | 30.0 s, kill at worker-1 |",
        "| ✗ **failed** | 2. Bad | 40.0 s | $1.24 | $0.00 | 26.0 s, kill at worker-1 |",
        "| ? **unknown** | 3. Odd | 40.0 s | $1.24 | $0.00 | 26.0 s, kill at worker-1 |",
        "| - not run | 4. Disk |  |  |  |  |",
    ]


def test_what_did_not_pass_is_told_with_the_way_to_run_it_again() -> None:
    text = _of(RUN)

    assert "- one, `it_holds`: it broke" in text
    assert "- one, `it_holds`: who knows" in text
    assert "```sh\npython -m chaos run bad odd\n```" in text
    assert "- `disk`: nobody may mount here" in text


def test_many_problems_are_folded_and_few_are_not() -> None:
    assert "<details>" not in _of(_with_problems(3))
    assert "<summary>✗ 1. Bad: failed, 4 problems</summary>" in _of(_with_problems(4))


def test_more_problems_than_anybody_reads_are_cut_and_counted() -> None:
    text = _of(_with_problems(1000))

    assert text.count("it broke") == 200
    assert "… and 800 more, in results.md" in text


def test_it_stays_within_what_github_takes_and_says_what_was_left_out() -> None:
    long = [
        a_scenario(f"bad{number}", a_case("one", *["é" * 1000] * 200), number=number)
        for number in range(1, 11)
    ]

    text = _of(a_run(*long))

    assert len(text.encode()) <= MOST_BYTES
    assert text.splitlines()[0].startswith("## ✗ Fault tolerance")
    assert text.endswith("**The rest did not fit**: see `2026-01-02T03-04-05Z/results.md`.\n")
    assert text.count("<details>") == text.count("</details>") > 0


def test_a_comparison_stands_in_it_where_one_is_given() -> None:
    text = summary(RUN, comparison=compare(RUN, a_run(GOOD, a_scenario("bad"))), environment={})

    assert "### Compared" in text
    assert "bad/one: failed, was passed: it\\_holds: it broke" in text.replace(
        "it_holds", "it\\_holds"
    )


def test_a_job_on_github_links_to_what_it_keeps() -> None:
    job = {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_RUN_ID": "42",
    }

    link = "[what this job keeps](https://github.com/owner/name/actions/runs/42#artifacts)"
    assert link in summary(RUN, environment=job)
    assert "github.com" not in _of(RUN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "reports" / "run"
    folder.mkdir(parents=True)
    return folder


def test_a_run_appends_it_to_the_jobs_summary(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("what was there\n")

    assert write_reports(RUN, folder, environment={"GITHUB_STEP_SUMMARY": str(page)}) == ()

    assert page.read_text() == "what was there\n" + (folder / "summary.md").read_text()
    assert append_step_summary(RUN, {"GITHUB_STEP_SUMMARY": ""}) is None


def test_a_page_that_cannot_be_written_loses_nothing_of_the_run(folder: Path) -> None:
    page = folder.parent / "nowhere" / "page.md"

    (trouble,) = write_reports(RUN, folder, environment={"GITHUB_STEP_SUMMARY": str(page)})

    assert trouble == (
        f"GITHUB_STEP_SUMMARY names {page}, which cannot be written (No such file or directory); "
        "see summary.md instead."
    )
    assert (folder / "results.json").exists()
    assert (folder.parent / "latest").resolve() == folder


def test_what_others_wrote_on_the_page_counts(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    environment = {"GITHUB_STEP_SUMMARY": str(page)}
    page.write_text("x" * (MOST_BYTES - 600))

    assert append_step_summary(RUN, environment) is None
    assert page.stat().st_size <= MOST_BYTES
    assert "**The rest did not fit**" in page.read_text()

    page.write_text("x" * (MOST_BYTES - 10))
    assert "which is full" in (append_step_summary(RUN, environment) or "")
    assert page.stat().st_size == MOST_BYTES - 10


def test_a_pipe_that_nobody_reads_does_not_hold_the_run(tmp_path: Path) -> None:
    page = tmp_path / "page"
    os.mkfifo(page)

    trouble = append_step_summary(RUN, {"GITHUB_STEP_SUMMARY": str(page)})

    assert trouble
    assert "cannot be written" in trouble


def test_it_says_what_all_of_it_cost() -> None:
    wasted = a_case("one", cost_usd=Decimal("1.278"), waste_usd=Decimal("0.039"))

    text = _of(a_run(a_scenario("wasted", wasted)))

    assert "Billed $1.28, ideal $1.24; waste $0.039, possible waste $0.00." in text


def test_it_counts_what_was_hit_and_names_what_never_was() -> None:
    hit = Hit(fault="kill", at="worker", activity="charge", phase=Phase.RUNNING, times=1)
    never = Combination(fault="kill", at="worker", activity="ship|<b>")
    coverage = Coverage(activities=("charge", "ship|<b>"), hits=(hit,), never=(never,))

    told = _of(a_run(a_scenario(), coverage=coverage))

    assert "1 of 2 combinations of 1 fault and 2 activities were hit." in told
    assert "<summary>Never hit: 1</summary>" in told
    assert "- kill at worker: `ship|<b>`" in told
    assert "combinations" not in _of(a_run(a_scenario()))
