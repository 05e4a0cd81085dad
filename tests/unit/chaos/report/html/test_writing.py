"""The page as a whole: what is on it, what never is, and what becomes of damaged evidence."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest

from chaos.evidence.bills import Mode
from chaos.experiment.results import NotRun, RunResult
from chaos.process.child import CANARY
from chaos.report import html as package
from chaos.report.files import write_reports
from chaos.report.html import HtmlError, document, write_html
from tests.unit.chaos.hostile import HOSTILE, unseen
from tests.unit.chaos.report.html.runs import (
    CRASH,
    LOAD,
    PASSED,
    RETRY,
    a_run,
    failed,
    measure,
    save,
)
from tests.unit.chaos.report.made_runs import STARTED_AT
from tests.unit.chaos.report.made_runs import a_run as a_made_run

ORDERS = Path(__file__).parents[4] / "data" / "orders"
NASTY = "<script>alert(1)</script>"
PROBLEM = f"it was billed twice {NASTY}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def broken(folder: Path) -> RunResult:
    """One scenario that passed, and one that did not."""
    return a_run(folder, {RETRY: PASSED, CRASH: failed("billed_at_most_expected", PROBLEM)})


def _text(page: str) -> str:
    """What a reader sees."""
    body = page.partition("<body>")[2].partition("<script>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def _page(folder: Path) -> str:
    return write_html(folder).read_text()


def test_what_broke_stands_first_with_its_reason_and_the_way_back(
    folder: Path, broken: RunResult
) -> None:
    text = _text(_page(folder))

    assert "1 of 2 scenarios failed" in text
    top, _, rest = text.partition("Results")
    assert "What broke" in top
    assert "1. Worker Crash Recovery" in top
    assert "2. Retry Configuration" not in top
    assert f"billed_at_most_expected {PROBLEM}" in top
    assert "kill at worker-1, " in top
    assert "python -m chaos run worker_crash" in top
    assert "2. Retry Configuration" in rest
    assert broken.run_id in top


def test_what_was_measured_is_plotted_and_no_name_is_more_than_text(
    folder: Path, broken: RunResult
) -> None:
    del broken
    measure(folder / "worker_crash" / "sigkill_twice", f"{HOSTILE}{NASTY}")

    page = _page(folder)

    assert "Over time as it was measured" in _text(page)
    assert "Backlog in tasks: workflow up to 6." in page
    assert "<script>alert" not in page
    assert unseen(_text(page)) == set()


@pytest.mark.parametrize("damage", ["x\n", "link"])
def test_damaged_samples_are_told_and_the_rest_is_drawn(
    damage: str, folder: Path, broken: RunResult, tmp_path: Path
) -> None:
    del broken
    samples = folder / "worker_crash" / "sigkill_twice" / "samples.jsonl"
    if damage == "link":
        samples.symlink_to(tmp_path)
    else:
        samples.write_text(damage)

    text = _text(_page(folder))

    assert "What was measured meanwhile cannot be read: " in text
    assert ("line 1 of samples.jsonl is damaged" in text) == (damage != "link")
    assert "Schedule-to-start" in text


def test_each_case_has_its_timeline_recovery_cost_and_checks(
    folder: Path, broken: RunResult
) -> None:
    page = _page(folder)
    crash = _text(page).rpartition("Worker Crash Recovery worker_crash")[2]

    assert page.count('<svg class="plot"') == 2
    assert "kill worker-1" in crash
    assert "detect" in crash
    assert "attempt lost with its worker" in crash
    assert "service answered with an error" not in crash, "the legend has what is drawn alone"
    (fault, _) = broken.scenarios[1].cases[0].faults
    assert fault.recovery_s
    assert f"{fault.recovery_s.waited:.1f} s" in crash
    assert "Waste $0.039" in crash
    assert "Possible waste $0.039" in crash
    assert "1 call in doubt" in crash
    assert "faults_met_work proof that the fault hit" in crash
    assert "histories_replay" in crash


@pytest.mark.usefixtures("broken")
def test_what_was_hit_is_a_table_of_faults_and_activities(folder: Path) -> None:
    page = _page(folder)
    table = _text("<body>" + page.partition('<table class="coverage">')[2].partition("</table>")[0])

    assert table.startswith("Fault await_video download_video generate_character")
    assert re.search(r"kill at worker running \S running \S \S status", table)
    assert re.search(r"status 503 at api running 3\S running 3\S", table)
    assert "7 of 10 combinations of 2 faults and 5 activities were hit." in _text(page)


def test_without_a_fault_there_is_no_such_table(folder: Path) -> None:
    a_run(folder, {LOAD: PASSED})

    assert "What was hit" not in _text(_page(folder))


@pytest.mark.usefixtures("broken")
def test_every_link_leads_to_a_file_or_a_place_on_the_page(folder: Path) -> None:
    page = _page(folder)
    targets = re.findall(r'href="([^"]*)"', page.partition("<body>")[2])
    places = {target for target in targets if target.startswith("#")}
    files = {target for target in targets if not target.startswith("#")}

    assert len(files) > 8
    assert [file for file in files if not (folder / unquote(file)).is_file()] == []
    ids = set(re.findall(r'id="([^"]*)"', page))
    assert {place[1:] for place in places} <= ids


@pytest.mark.usefixtures("broken")
def test_nothing_is_loaded_from_anywhere(folder: Path) -> None:
    page = _page(folder)

    loads = r"""(?:src|srcset|xlink:href|action)=["']?|url\(|@import|<link[^>]*href=["']?"""
    found = {page[m.end() : m.end() + 6] for m in re.finditer(loads, page)}
    assert found == {"data:,", "#hatch", "#rungs", "#dots)"}
    assert "default-src 'none'" in page


def test_what_others_wrote_is_text_and_never_html(folder: Path) -> None:
    log = f"2026-11-24 15:21:16,600 ERROR it broke {NASTY}\n"
    run = a_run(folder, {CRASH: failed(f"check{NASTY}", PROBLEM)}, logs={"worker-1.log": log})
    (scenario,) = run.scenarios
    save(run.model_copy(update={"versions": {NASTY: NASTY}}), folder)
    journal = folder / scenario.name / scenario.cases[0].name / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"worker-2"', f'"worker-{NASTY}"'))

    page = _page(folder)

    assert page.count("<script>") == 1
    assert "alert(1)</script>" not in page
    assert page.count(html.escape(NASTY)) > 5


def test_the_lines_around_the_fault_are_shown_without_secrets(folder: Path) -> None:
    key = f"{CANARY}0123456789abcdef"
    log = (
        "2026-11-24 15:21:11,000 INFO long before\n"
        f"2026-11-24 15:21:16,600 WARNING the key {key} is refused\n"
    )
    a_run(folder, {CRASH: PASSED}, logs={"worker-1.log": log})

    page = _page(folder)

    assert "the key [hidden] is refused" in page
    assert key not in page
    assert "long before" not in page


def test_of_a_case_that_broke_all_that_was_said_during_its_faults_is_shown(folder: Path) -> None:
    log = "2026-11-24 15:21:25,600 INFO while worker-1 was missing\n"
    shown = []
    for name, findings in {"green": PASSED, "red": failed("it_holds", "no")}.items():
        a_run(folder / name, {CRASH: findings}, logs={"worker-2.log": log})
        shown.append("while worker-1 was missing" in _page(folder / name))

    assert shown == [False, True]


def _no_journal(case: Path) -> None:
    (case / "journal.jsonl").unlink()


def _torn_history(case: Path) -> None:
    (history,) = (case / "histories").iterdir()
    history.write_text(history.read_text()[:500])


def _damaged_bills(case: Path) -> None:
    (case / "bills.json").write_text("nonsense\n")


def _no_expectations(case: Path) -> None:
    (case / "expectations.json").unlink()


@pytest.mark.parametrize("damage", [_no_journal, _torn_history, _damaged_bills, _no_expectations])
@pytest.mark.usefixtures("broken")
def test_of_damaged_evidence_the_figures_are_left(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    damage(folder / "worker_crash" / "sigkill_twice")

    page = _page(folder)

    assert "Its evidence cannot be read, so there is no timeline" in page
    assert page.count('<svg class="plot"') == 1
    assert "Waste $0.039" in _text(page)


def test_without_any_evidence_the_results_are_shown(folder: Path, broken: RunResult) -> None:
    alone = folder.with_name("alone")
    save(broken, alone)

    text = _text(_page(alone))

    assert "1 of 2 scenarios failed" in text
    assert text.count("Its evidence cannot be read") == 2
    assert text.count("no file is left") == 2


def test_a_bound_that_an_older_version_did_not_know_is_left_open(folder: Path) -> None:
    run = a_run(folder, {CRASH: PASSED})
    text = run.model_dump_json(by_alias=True)
    (folder / "results.json").write_text(re.sub(r',"bound":[\d.]+', "", text))
    page = _page(folder)

    assert str(math.inf) not in page.partition("<body>")[2].partition("<script>")[0]


def test_many_workflows_are_folded_and_the_page_stays_small(folder: Path) -> None:
    run = a_run(folder, {LOAD: PASSED})
    histories = folder / "concurrency" / "one_worker" / "histories"
    (first, *_) = sorted(histories.iterdir())
    for number in range(6, 101):
        (histories / f"load-{number:03}.run-1.json").write_text(first.read_text())
    assert run.overall.total == 1

    page = _page(folder)

    assert "88 more workflows, with fewer events" in page
    assert len(page) < 150_000


@pytest.mark.usefixtures("broken")
def test_of_a_large_page_what_passed_is_shown_without_its_timeline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MOST_BYTES", len(_page(folder).encode()) - 1)

    page = _page(folder)

    assert page.count("so that this page stays small") == page.count('<svg class="plot"') == 1
    assert "so that this page stays small" not in page.rpartition("Worker Crash Recovery")[2]
    assert PROBLEM in _text(page)


@pytest.mark.usefixtures("broken")
def test_it_is_compared_to_another_run(tmp_path: Path, folder: Path) -> None:
    a_run(tmp_path / "older", {RETRY: PASSED, CRASH: PASSED}, run_id="older")

    text = _text(write_html(folder, against=tmp_path / "older").read_text())

    assert "Against run older" in text
    assert "red worker_crash/sigkill_twice verdict failed passed" in text


def test_the_runs_beside_it_are_shown(tmp_path: Path, broken: RunResult, folder: Path) -> None:
    assert "The last" not in _text(_page(folder))
    earlier = broken.model_copy(update={"run_id": "earlier", "started_at": STARTED_AT})
    save(earlier, tmp_path / "earlier")

    assert "The last 2 runs" in _text(_page(folder))


def test_a_run_of_which_nothing_ran_says_why(folder: Path) -> None:
    absent = NotRun(number=3, name="server_restart", title="Server Restart", reason="not here")
    save(a_made_run(not_run=(absent,)), folder)

    text = _text(_page(folder))

    assert "No scenario has run, 1 not run" in text
    assert "3. Server Restart Not run not here" in text


def test_a_live_run_says_what_was_paid_and_runs_live_again(folder: Path) -> None:
    paid, budget = Decimal("1.278"), Decimal(15)
    a_run(folder, {CRASH: PASSED}, mode=Mode.LIVE, paid_usd=paid, budget_usd=budget)

    text = _text(_page(folder))

    assert "Mode live Topology" in text
    assert "Paid at most $1.278 of $15.00" in text
    assert "python -m chaos run worker_crash --live" in text


def test_a_fault_of_the_page_loses_no_results(
    tmp_path: Path, broken: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_view(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(package, "run_view", broken_view)
    target = tmp_path / "again"
    target.mkdir()

    sentences = write_reports(broken, target, environment={})

    (sentence,) = sentences
    assert "could not be rendered (RuntimeError: boom)" in sentence
    assert (target / "results.json").exists()
    assert (tmp_path / "latest").resolve() == target
    assert not (target / "report.html").exists()


@pytest.mark.usefixtures("broken")
def test_a_page_that_cannot_be_written_is_told_in_a_sentence(
    folder: Path,
) -> None:
    (folder / "report.html").mkdir()

    with pytest.raises(HtmlError, match="could not be written"):
        write_html(folder)

    assert [file.name for file in folder.glob(".report*")] == []


def test_a_document_runs_its_own_script_and_no_other() -> None:
    page = document("A <title>", "<p>the body</p>")

    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "<title>A &lt;title&gt;</title>" in page
    assert "<p>the body</p>" in page
    assert page.startswith("<!doctype html>")


def test_a_guests_run_has_its_own_files_and_its_own_scenarios(tmp_path: Path) -> None:
    run = Path(shutil.copytree(ORDERS, tmp_path / "run"))

    page = write_html(run).read_text()

    assert "python -m chaos run worker_dies_charging" in page
    assert 'href="worker_dies_charging/sigkill/charges.jsonl"' in page


def test_a_run_that_passed_has_nothing_that_broke(folder: Path) -> None:
    a_run(folder, {RETRY: PASSED, CRASH: PASSED})

    text = _text(_page(folder))

    assert "All 2 scenarios passed" in text
    assert "What broke" not in text
