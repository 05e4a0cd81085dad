"""One hostile text in every field of a run, and what each medium makes of it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from pydantic import BaseModel
from rich.console import Console

from chaos import plugin
from chaos.__main__ import main
from chaos.evidence.bills import InDoubt
from chaos.experiment.events import (
    CaseName,
    Finished,
    Message,
    PlannedCase,
    RunEvent,
    Stage,
    TimedEvent,
)
from chaos.experiment.results import NotRun, RunResult
from chaos.invariants.verdict import Verdict
from chaos.plugin.live_view import table_of
from chaos.plugin.once import Answers
from chaos.plugin.plain_view import line_of
from chaos.plugin.watched import ActiveFault, CaseState
from chaos.report.explored import markdown
from chaos.report.explored import report_of as explored
from chaos.report.files import write_reports
from chaos.search.explore.plan import Plan
from chaos.search.explore.state import Attempt, State
from tests.unit.chaos.hostile import HOSTILE, LONG, forged, unseen
from tests.unit.chaos.report.made_runs import (
    STARTED_AT,
    a_case,
    a_fault,
    a_recovery,
    a_run,
    a_scenario,
)

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MADE = {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
"""What Markdown of ours is made of within a line."""

FILE = f"{HOSTILE[:170]}\u202e`_*<b>end".replace("/", "")
"""As the name of a folder, as far as a system allows."""


def _in_all_texts(model: BaseModel) -> Any:
    """The same with the hostile text wherever any text can be."""
    texts = {
        name
        for name, field in type(model).model_fields.items()
        if str in {field.annotation, *get_args(field.annotation)}
    }
    changed = {n: _hostile(v) for n, v in model if n in texts or not isinstance(v, str)}
    return model.model_copy(update=changed)


def _hostile(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _in_all_texts(value)
    if isinstance(value, tuple):
        return tuple(map(_hostile, value))
    if isinstance(value, Mapping):
        return dict(zip([HOSTILE], map(_hostile, value.values()), strict=False))
    return HOSTILE if type(value) is str else value


def _run() -> RunResult:
    doubtful = InDoubt(
        operation_id="x",
        step="x",
        number=1,
        item="video",
        cost_usd=Decimal("1.2"),
        state="ambiguous",
        reason="x",
        sent_at=STARTED_AT,
    )
    given: dict[str, Any] = {"faults": (a_fault(a_recovery()),), "ambiguous": (doubtful,)}
    first = a_case("one", "why", verdict=Verdict.UNKNOWN, **given)
    case = a_case("one", "a", "b", "c", "d", LONG[:10], first_try=first, **given)
    absent = NotRun(number=3, name="x", title="x", reason="x")
    run = a_run(a_scenario("crash", case), not_run=[absent])
    hostile: RunResult = _in_all_texts(run)
    (scenario,) = hostile.scenarios
    # Text that is compared to a name of our own shows more: a role, and the scenario of a load.
    (case,) = scenario.cases
    role = case.faults[0].model_copy(update={"target": "history"})
    long = case.checks[0].model_copy(update={"problems": (*case.checks[0].problems, LONG)})
    case = case.model_copy(update={"faults": (*case.faults, role), "checks": (long,), "name": FILE})
    scenario = scenario.model_copy(update={"cases": (case,), "name": FILE})
    return hostile.model_copy(
        update={"scenarios": (scenario, scenario.model_copy(update={"name": "concurrency"}))}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reports") / "2026-01-02T03-04-05Z"
    made.mkdir()
    assert write_reports(_run(), made, environment={}) == ()
    return made


def _is_harmless(text: str) -> None:
    assert "end" in text, "the hostile text is not there at all"
    assert unseen(text) == set()
    assert forged(text) == []
    assert max(map(len, text.split("\n"))) < 20_000


def _stands_for_itself(text: str) -> None:
    _is_harmless(text)
    for token in READER.parse(text):
        assert token.type != "html_block" or token.content.startswith(("<details>", "</details>"))
        assert token.tag not in {"h1", "h2", "h3"} or token.level == 0
        assert {child.type for child in token.children or ()} <= MADE, token.content[:200]


def test_every_text_of_a_run_is_hostile_here() -> None:
    """Else the tests below would miss a field."""
    text = _run().model_dump_json()

    assert '"x"' not in text
    assert "it_holds" not in text


@pytest.mark.parametrize("name", ["results.md", "summary.md"])
def test_markdown_shows_it_as_what_it_is(folder: Path, name: str) -> None:
    _stands_for_itself((folder / name).read_text())


def test_junit_has_it_whole_on_one_line_each(folder: Path) -> None:
    text = (folder / "junit.xml").read_text()

    _is_harmless(text)
    root = ET.fromstring(text.encode())  # noqa: S314 - our own text
    messages = [each.attrib["message"] for each in root.iter() if "message" in each.attrib]
    assert messages
    assert [message for message in messages if "\n" in message] == []


def test_the_page_has_no_element_of_it(folder: Path) -> None:
    text = (folder / "report.html").read_text()

    assert unseen(text) == set()
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search(r"<(script>alert|img)|href=\"javascript", text)


@pytest.mark.parametrize("options", [[], ["--trend"], ["--against"], ["--markdown"]])
def test_no_report_steers_the_terminal(
    folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*options, str(folder)] if options == ["--against"] else options

    assert main(["report", str(folder), *given]) == 0

    (_stands_for_itself if "--markdown" in options else _is_harmless)(capsys.readouterr().out)


def test_no_recheck_steers_the_terminal_or_its_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recheck", str(folder), "--write"]) == 1

    _is_harmless(capsys.readouterr().out)
    _stands_for_itself((folder / "recheck.md").read_text())


@pytest.mark.parametrize("command", ["report", "recheck", "shrink"])
def test_no_complaint_steers_the_terminal(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / FILE)]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    _is_harmless(said.err)


@pytest.mark.parametrize("count", [2, 40])
def test_the_live_view_is_drawn_as_ever(count: int) -> None:
    cases = []
    for n in range(count):
        name = CaseName(f"{HOSTILE}{n}", HOSTILE)
        planned = PlannedCase(name, 1, Decimal(1), control=False, billed_usd=lambda: Decimal(0))
        cases.append(CaseState(planned, Stage.RUNNING, HOSTILE, [ActiveFault(HOSTILE, HOSTILE, 1)]))
        cases.append(CaseState(planned, Stage.RUNNING, HOSTILE))
    drawn = io.StringIO()
    console = Console(file=drawn, width=150, height=12, color_system=None)

    console.print(table_of(cases, HOSTILE, 2.0, console.size))

    assert unseen(drawn.getvalue()) == set()
    assert len(drawn.getvalue().splitlines()) <= 12
    assert "ok [31mred" in drawn.getvalue()


@pytest.mark.parametrize(
    "news", [Message(HOSTILE, HOSTILE), Finished(HOSTILE, Verdict.FAILED, HOSTILE)]
)
def test_a_line_of_the_plain_view_is_one(news: RunEvent) -> None:
    line = line_of(TimedEvent(0.0, news))

    assert line
    assert "\n" not in line
    _is_harmless(line)


def test_an_exploration_is_told_as_harmlessly(tmp_path: Path, plan_file: Path) -> None:
    state = State.begin(tmp_path)
    state.save_plan(Plan.model_validate_json(plan_file.read_bytes()))
    assert state.plan
    found = Attempt(
        crash_point=state.plan.hits[0].name,
        workflow_id=HOSTILE,
        began_at=STARTED_AT,
        ended_at=STARTED_AT,
        verdict=Verdict.FAILED,
        reason=HOSTILE,
    )
    state.add(found)
    report = explored(state)
    assert report

    _stands_for_itself(markdown(report, state))
    state.close()


@pytest.fixture
def plan_file() -> Path:
    return Path(__file__).parents[1] / "search" / "explore" / "evidence" / "plan.json"


class Reporter:
    """As much of pytest's as is written to; `is_full` where nothing can be."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.lines: list[str] = []
        self.is_full = is_full

    def section(self, title: str) -> None:
        assert title == "fault tolerance"

    def write_line(self, line: str) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.lines.append(line)


def _runner(run: RunResult) -> Any:
    return SimpleNamespace(
        outcome=run,
        troubles=(HOSTILE,),
        folder=Path("reports") / FILE,
        missing=None,
        paid_usd=None,
        live=None,
        why_not_run=lambda _: None,
        result=lambda _: run.scenarios[0],
    )


def _config() -> Any:
    stash = {plugin._RUNNER: _runner(_run()), plugin._ANSWERS: Answers()}
    return SimpleNamespace(stash=stash)


@pytest.mark.parametrize("is_full", [False, True])
def test_the_table_of_pytest_steers_no_terminal(*, is_full: bool) -> None:
    reporter: Any = Reporter(is_full=is_full)

    plugin.pytest_terminal_summary(reporter, _config())

    if not is_full:
        _is_harmless("\n".join(reporter.lines))
        assert reporter.lines[-1] == "OVERALL: 0/1 tests passed, 1 not run"


def test_a_scenario_that_did_not_pass_fails_its_test_in_one_line() -> None:
    survives: Any = plugin.survives.__wrapped__  # type: ignore[attr-defined] # as pytest keeps it

    with pytest.raises(pytest.fail.Exception) as failed:
        survives(SimpleNamespace(config=_config()))(SimpleNamespace(name=HOSTILE))

    _is_harmless(str(failed.value))
    assert "\n" not in str(failed.value)
