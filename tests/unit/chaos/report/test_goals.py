"""A goal that no case has met makes a run unknown, in every report of it."""

from __future__ import annotations

import html
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chaos.experiment.results import RunResult
from chaos.invariants.goals import GoalResult
from chaos.invariants.verdict import Verdict
from chaos.report.files import outcome_lines
from chaos.report.html import write_html
from chaos.report.junit import junit
from chaos.report.summary import summary
from tests.unit.chaos.report.html.runs import save
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

MET = GoalResult(name="a charge was in doubt", met=True)
UNMET = GoalResult(name="a <b>parcel</b> came back", met=False, problem="it raised KeyError('x')")
TOLD = "goal never met: a <b>parcel</b> came back (it raised KeyError('x'))"


@pytest.fixture
def run() -> RunResult:
    return a_run(a_scenario(), goals=(MET, UNMET))


def test_the_run_is_unknown_though_all_scenarios_passed(run: RunResult) -> None:
    assert run.verdict is Verdict.UNKNOWN
    assert a_run(a_scenario(), goals=(MET,)).verdict is Verdict.PASSED
    failed = a_run(a_scenario("crash", a_case("one", "it broke")), goals=(UNMET,))
    assert failed.verdict is Verdict.FAILED


def test_the_terminal_names_it(run: RunResult, tmp_path: Path) -> None:
    lines = outcome_lines(run, tmp_path)

    assert TOLD in lines
    assert lines[-1] == "OVERALL: 1/1 tests passed, 1 goal never met"
    assert "goal" not in "".join(outcome_lines(a_run(a_scenario(), goals=(MET,)), tmp_path))


def test_the_summary_says_so_in_its_first_line(run: RunResult) -> None:
    told = summary(run, environment={})

    assert told.startswith("## ? Fault tolerance: 1 of 1 tests passed, 1 goals never met")
    assert "goal never met: a " in told
    assert "<b>" not in told


def test_junit_has_an_error_for_it(run: RunResult) -> None:
    suite = ET.fromstring(junit(run).encode())[0]  # noqa: S314 - made here

    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    (goals,) = suite.findall("testcase[@name='goals']")
    assert (goals.find("error") or goals[0]).get("message") == TOLD


def test_the_page_shows_it_among_what_broke(run: RunResult, tmp_path: Path) -> None:
    save(run, tmp_path)
    page = write_html(tmp_path).read_text()

    assert "All 1 scenarios passed" not in page
    assert "1 goal never met" in page
    assert "Goals that no case has met" in page.partition(">Results<")[0]
    assert html.escape("a <b>parcel</b> came back") in page
