"""The report of a campaign says what broke and what is new, and is of one mind everywhere."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from chaos.__main__ import main
from chaos.faults import CommandFault
from chaos.invariants.verdict import Verdict
from chaos.report.campaign.files import write_reports
from chaos.report.campaign.lines import annotation_lines, terminal_lines
from chaos.report.campaign.record import Broken, CampaignReport, Since
from chaos.search.campaign import names
from chaos.search.campaign.model import CaseKind, CaseRef, Explore, Lost, Never, Seeds, Stage, Work
from chaos.search.schedule import Planned, Schedule
from tests.schemas import violations
from tests.unit.chaos.hostile import HOSTILE, forged, unseen
from tests.unit.chaos.report.made_campaign import (
    EXPLORE,
    LOST,
    NOW,
    VERSIONS,
    Made,
    failed,
    passed,
    unknown,
    whole,
)

READER = MarkdownIt("commonmark").enable("table")
TWICE = "paid_once: it was charged twice"
STUCK = "recovers: no progress"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "report"


def _report(tmp_path: Path, made: Made) -> CampaignReport:
    return write_reports(made.store, tmp_path / "report")


def _made(tmp_path: Path, *records: object, **more: object) -> Made:
    return whole(tmp_path / "evidence", tmp_path / "scratch", records, **more)  # type: ignore[arg-type]


def test_all_files_are_there_and_as_their_schemas_say(tmp_path: Path, folder: Path) -> None:
    _report(tmp_path, _made(tmp_path, passed(1, lost=(LOST,)), failed(2), unknown(3)))

    assert {"campaign.html", "campaign.md", "junit.xml"} <= {path.name for path in folder.iterdir()}
    assert violations(folder) == {"campaign.json": [], "cases.jsonl": [], "new.jsonl": []}
    cases = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    assert [each["verdict"] for each in cases] == ["passed", "failed", "unknown"]
    new = [json.loads(line) for line in (folder / "new.jsonl").read_text().splitlines()]
    assert [each["broke"] for each in new] == [TWICE]


@pytest.mark.parametrize(
    ("records", "verdict", "why"),
    [
        ([passed(1), passed(2)], Verdict.PASSED, "all 2 cases passed"),
        ([passed(1)], Verdict.PASSED, "its only case passed"),
        ([passed(1), failed(2), unknown(3)], Verdict.FAILED, "1 of 3 cases failed"),
        ([passed(1), unknown(2)], Verdict.UNKNOWN, "1 of 2 cases are unknown"),
        ([], Verdict.UNKNOWN, "nothing was tried"),
    ],
)
def test_the_whole_is_as_good_as_its_worst_case(
    tmp_path: Path, folder: Path, records: list[object], verdict: Verdict, why: str
) -> None:
    report = _report(tmp_path, _made(tmp_path, *records))

    assert (report.verdict, report.why) == (verdict, why)
    assert terminal_lines(report, folder)[-1] == f"campaign-1: {verdict.upper()}, {why}"


def test_what_was_planned_and_not_tried_is_no_pass(tmp_path: Path, folder: Path) -> None:
    made = Made(tmp_path / "evidence")
    made.plan(tmp_path / "scratch")
    made.turn(passed(1).case, total=300)
    made.end([made.judge(passed(1), tmp_path / "scratch")], why="its minutes are over")
    report = _report(tmp_path, made)

    assert (report.verdict, report.why) == (
        Verdict.UNKNOWN,
        "1 of 300 cases were tried: its minutes are over",
    )
    assert "300 were planned, so 299 were not tried." in terminal_lines(report, folder)


OVER, ATTEMPTS_LOST = "its minutes are over", "10 attempts lost"


@pytest.mark.parametrize(
    ("work", "reason", "verdict"),
    [
        (Seeds(), OVER, "passed"),
        (Seeds(), ATTEMPTS_LOST, "unknown"),
        (Seeds(last=2), OVER, "unknown"),
    ],
)
def test_only_an_endless_campaign_owes_nobody_the_cases_that_its_end_left_over(
    tmp_path: Path, folder: Path, work: Work, reason: str, verdict: str
) -> None:
    made = Made(tmp_path / "evidence", work=work)
    made.turn(passed(1).case, passed(2).case)
    record = made.judge(passed(1), tmp_path / "scratch")
    made.end([record], why=OVER, never=[Never(name="order-charge-2", reason=reason)])

    report = _report(tmp_path, made)
    assert report.verdict == verdict
    assert [each.reason for each in report.owed] == ([] if verdict == "passed" else [reason])
    page = (folder / "campaign.html").read_text()
    assert ("<dt>Not begun</dt><dd>1</dd>" in page) is (verdict == "passed")


def test_failures_are_grouped_by_what_broke(tmp_path: Path) -> None:
    report = _report(
        tmp_path, _made(tmp_path, failed(1, STUCK), failed(2), failed(3, machine="shop-2"))
    )

    assert [(each.broke, each.cases) for each in report.broken] == [
        (TWICE, ("order-charge-2", "order-charge-3")),
        (STUCK, ("order-charge-1",)),
    ]
    assert report.broken[0].machines == ("shop-1", "shop-2")


def test_figures_are_those_of_the_cases(tmp_path: Path) -> None:
    """Two at once from 0 to 11 s, then one from 20 to 30 s."""
    records = [passed(0), passed(1), passed(20, machine="shop-2")]
    totals = _report(tmp_path, _made(tmp_path, *records)).totals

    assert totals.seconds == 21
    assert totals.cases_a_minute == pytest.approx(60 * 3 / 21)
    assert (totals.cpu_seconds, totals.cpu_seconds_a_case, totals.case_seconds) == (7.5, 2.5, 30)


def test_machines_are_told_with_what_was_lost_with_them(tmp_path: Path, folder: Path) -> None:
    later = Lost(machine="shop-4", attempt=2, stage=Stage.JUDGING)
    report = _report(
        tmp_path,
        _made(tmp_path, passed(1, lost=(LOST, later), attempt=3), passed(2, machine="shop-2")),
    )

    assert [(each.name, each.judged, each.lost) for each in report.machines] == [
        ("shop-1", 1, 0),
        ("shop-2", 1, 0),
        ("shop-3", 0, 1),
        ("shop-4", 0, 1),
    ]
    assert report.totals.ran_again == 1
    told = (folder / "campaign.md").read_text()
    assert "shop-3 was lost while running (attempt 1); shop-4 was lost while judging" in told


def test_mixed_versions_are_said_plainly(tmp_path: Path, folder: Path) -> None:
    other = VERSIONS.model_copy(update={"sdk": "1.21"})
    mixed = _report(tmp_path, _made(tmp_path, passed(1), passed(2, versions=other)))

    line = "Mixed versions of sdk: 1.20, 1.21. A verdict is of one of them."
    assert line in terminal_lines(mixed, folder)
    assert "mixed versions: sdk 1.20, 1.21" in (folder / "campaign.html").read_text()
    _report(tmp_path, _made(tmp_path, passed(1), passed(2), campaign_id="campaign-2"))
    assert "mixed versions" not in (folder / "campaign.html").read_text()


def _of_a_day_before(tmp_path: Path, *records: object, work: Work = EXPLORE) -> None:
    _made(tmp_path, *records, campaign_id="before", work=work, began_at=NOW - timedelta(days=1))


def _since(report: CampaignReport) -> dict[str, Since]:
    now = {each.broke: each.since for each in report.broken}
    return now | {each.broke: each.since for each in report.earlier}


def test_of_the_first_campaign_everything_is_new(tmp_path: Path) -> None:
    report = _report(tmp_path, _made(tmp_path, failed(1)))

    assert (report.since, _since(report)) == ("", {TWICE: Since.FIRST})
    assert [each.broke for each in report.new] == [TWICE]


def test_new_still_there_and_gone_are_told_apart(tmp_path: Path, folder: Path) -> None:
    _of_a_day_before(tmp_path, failed(1), failed(2, STUCK), passed(3))
    report = _report(tmp_path, _made(tmp_path, failed(1), passed(2), failed(3, "new: one")))

    assert report.since == "before"
    assert _since(report) == {TWICE: Since.STILL, STUCK: Since.GONE, "new: one": Since.NEW}
    assert [each.broke for each in report.broken] == ["new: one", TWICE]
    assert "Since before: 1 new, 1 still there, 1 gone, 0 not seen again." in terminal_lines(
        report, folder
    )


def test_what_was_not_tried_again_is_not_gone(tmp_path: Path) -> None:
    other = "other: it was seen twice"
    _of_a_day_before(tmp_path, failed(1), failed(2, STUCK), failed(3, other), failed(4, other))
    report = _report(tmp_path, _made(tmp_path, passed(1), unknown(2), passed(3)))

    assert _since(report) == {TWICE: Since.GONE, STUCK: Since.NOT_SEEN, other: Since.NOT_SEEN}


@pytest.mark.parametrize(
    ("before", "now"), [(Seeds(), Seeds()), (Explore(specs=("order",), action="drop"), EXPLORE)]
)
def test_cases_of_the_same_name_are_not_the_same_where_they_are_drawn_or_of_other_work(
    tmp_path: Path, before: Work, now: Work
) -> None:
    _of_a_day_before(tmp_path, failed(1), work=before)
    report = _report(tmp_path, _made(tmp_path, passed(1), work=now))

    assert _since(report) == {TWICE: Since.NOT_SEEN}


def test_a_failure_is_known_if_all_of_its_parts_are(tmp_path: Path) -> None:
    _of_a_day_before(tmp_path, failed(1), failed(2, STUCK))
    both, more = f"{TWICE}; {STUCK}", f"{TWICE}; lost: it is gone"
    report = _report(tmp_path, _made(tmp_path, failed(1, both), failed(2, more)))

    assert _since(report) == {both: Since.STILL, more: Since.NEW}


@pytest.mark.parametrize("difference", ["other kind", "later", "not ended", "damaged"])
def test_it_is_compared_with_nothing_else(tmp_path: Path, difference: str) -> None:
    work = Seeds() if difference == "other kind" else EXPLORE
    days = 1 if difference == "later" else -1
    other = Made(tmp_path / "evidence", "other", work=work, began_at=NOW + timedelta(days=days))
    other.plan(tmp_path / "scratch")
    other.turn(failed(1).case)
    record = other.judge(failed(1), tmp_path / "scratch")
    if difference != "not ended":
        other.end([record])
    if difference == "damaged":
        (Path(other.store.address) / names.CAMPAIGN).write_text("{")

    assert _report(tmp_path, _made(tmp_path, failed(1))).since == ""


SCHEDULE = Schedule.model_validate(
    {"seed": 7, "workers": 1, "families": [], "duration_seconds": 5, "starts": [], "faults": []}
)


def _drawn(made: Made, name: str, text: str = "") -> None:
    made.store.create(name, (text or SCHEDULE.model_dump_json(by_alias=True)).encode())


def test_a_shrunk_failure_is_a_file_to_replay(tmp_path: Path, folder: Path) -> None:
    made = _made(tmp_path, failed(1), before_end=lambda made: _drawn(made, names.failure(TWICE)))
    broken = _report(tmp_path, made).broken[0]

    assert broken.file == names.failure(TWICE)
    assert Schedule.model_validate_json((folder / broken.file).read_text()) == SCHEDULE
    words = shlex.split(broken.command)
    assert words[:2] == ["temporal-chaos", "run"]
    assert Path(words[2].removeprefix("--replay=")).resolve() == folder / broken.file
    assert f'href="{broken.file}"' in (folder / "campaign.html").read_text()


def test_a_failure_that_was_not_shrunk_is_replayed_as_it_was_drawn(tmp_path: Path) -> None:
    case = CaseRef(name="order-charge-1", kind=CaseKind.SCHEDULE)
    made = _made(
        tmp_path,
        failed(1, case=case),
        before_end=lambda made: _drawn(made, names.schedule("order-charge-1")),
        work=Seeds(),
    )

    assert _report(tmp_path, made).broken[0].file == names.failure(TWICE)


EXECUTES = SCHEDULE.model_copy(
    update={
        "faults": (
            Planned(
                at_seconds=1,
                lasting_seconds=1,
                fault=CommandFault(inject=["touch", "x"], heal=["true"], proof=["true"]),
            ),
        )
    }
).model_dump_json(by_alias=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [(EXECUTES, "would execute"), ("{", "is no schedule"), (HOSTILE, "is no schedule")],
    ids=["executes", "cut", "hostile"],
)
def test_a_schedule_that_a_stranger_put_there_is_not_passed_on(
    tmp_path: Path, folder: Path, text: str, told: str
) -> None:
    made = _made(
        tmp_path, failed(1), before_end=lambda made: _drawn(made, names.failure(TWICE), text)
    )
    report = _report(tmp_path, made)

    assert report.broken[0].file == ""
    assert [told in gap.problem for gap in report.gaps] == [True]
    assert not (folder / "failures").exists()


def test_a_point_is_brought_back_by_a_probe_of_it_alone(tmp_path: Path) -> None:
    """No command of the store is passed on: it is made from what the point is."""
    made = _made(tmp_path, failed(1), failed(2, STUCK, cells=("kill at $(rm -rf /)",)))
    commands = {each.broke: each.command for each in _report(tmp_path, made).broken}

    assert commands[TWICE] == (
        "temporal-chaos probe --target shop:SHOP --spec order "
        "--at 'activity charge completing 1' --action kill"
    )
    assert commands[STUCK] == (
        f"temporal-chaos campaign report {made.store.address} --case order-charge-2"
    )


def test_a_scenario_is_run_again(tmp_path: Path) -> None:
    case = CaseRef(name="kill_all.sigkill", kind=CaseKind.SCENARIO)
    made = Made(tmp_path / "evidence")
    made.plan(tmp_path / "scratch")
    made.turn(case)
    made.end([made.judge(failed(1, case=case, name=case.name), tmp_path / "scratch")])

    assert _report(tmp_path, made).broken[0].command == "temporal-chaos run kill_all"


def test_annotations_are_of_what_is_new_and_for_github_alone(tmp_path: Path) -> None:
    _of_a_day_before(tmp_path, failed(1))
    report = _report(tmp_path, _made(tmp_path, failed(1), failed(2, "50%: a\nb")))

    assert list(annotation_lines(report, {})) == []
    lines = list(annotation_lines(report, {"GITHUB_ACTIONS": "true"}))
    assert len(lines) == 1
    assert lines[0].startswith("::error title=campaign-1%3A new::50%25: a b (1 case). Run it again")


def test_what_is_unknown_is_a_warning(tmp_path: Path) -> None:
    report = _report(tmp_path, _made(tmp_path, unknown(1)))

    assert list(annotation_lines(report, {"GITHUB_ACTIONS": "true"})) == [
        "::warning title=campaign-1%3A unknown::1 of 1 cases are unknown"
    ]


def test_junit_has_a_test_for_each_case(tmp_path: Path, folder: Path) -> None:
    made = Made(tmp_path / "evidence")
    made.plan(tmp_path / "scratch")
    records = [passed(1), failed(2), unknown(3)]
    made.turn(*(each.case for each in records), passed(4).case)
    for each in records:
        made.judge(each, tmp_path / "scratch")
    made.end(records, never=[Never(name="order-charge-4", reason="stopped")], passed=7)
    _report(tmp_path, made)
    suite = ET.parse(folder / "junit.xml").getroot()[0]  # noqa: S314 - of our own

    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "2",
        "skipped": "1",
    }
    assert len(suite.findall("testcase")) == 5


def test_nothing_in_a_name_or_a_reason_deceives_who_reads_it(tmp_path: Path, folder: Path) -> None:
    hostile = failed(
        1,
        HOSTILE,
        machine=HOSTILE,
        cells=(HOSTILE, f"kill|worker|{HOSTILE}|running"),
        versions=VERSIONS.model_copy(update={"server": HOSTILE}),
        lost=(Lost(machine=HOSTILE, attempt=1, stage=Stage.RUNNING),),
    )
    report = _report(tmp_path, _made(tmp_path, passed(2), hostile))

    told = "\n".join(terminal_lines(report, folder))
    markdown = (folder / "campaign.md").read_text()
    page = (folder / "campaign.html").read_text()
    for text in (told, markdown, page):
        assert not unseen(text.replace("\n", ""))
        assert not forged(text)
    assert "<script>alert" not in page
    rendered = READER.render(markdown)
    assert "<script" not in rendered
    assert "<img" not in rendered
    assert "javascript:" not in [t.attrs.get("href") for t in READER.parse(markdown)]


def test_the_command_writes_the_report_and_says_whether_it_passed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _made(tmp_path, passed(1), campaign_id="green")
    _made(tmp_path, failed(1), campaign_id="red")
    place, reports = tmp_path / "evidence", ["--reports", str(tmp_path / "reports")]

    assert main(["campaign", "report", f"{place}/green", "--verify", *reports]) == 0
    assert "each file is as it was judged" in capsys.readouterr().out
    assert main(["campaign", "report", f"{place}/red", *reports]) == 1
    assert (tmp_path / "reports" / "red" / "campaign.html").is_file()
    assert main(["campaign", "report", f"{place}/none", *reports]) == 2
    assert "there is no campaign at" in capsys.readouterr().err


def test_the_command_fetches_the_evidence_of_a_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = _made(tmp_path, failed(1))
    asked = [*("campaign", "report", made.store.address, "--reports"), str(tmp_path / "reports")]

    assert main([*asked, "--case", "order-charge-1"]) == 0
    file = tmp_path / "reports" / "campaign-1" / "cases" / "order-charge-1" / "journal.jsonl"
    assert file.read_text() == "order-charge-1\n"
    for bundle in Path(made.store.address).glob("cases/*/*.tar.gz"):
        bundle.write_bytes(b"x")
    assert main([*asked, "--case", "order-charge-1"]) == 2
    assert "was changed" in capsys.readouterr().err
    assert main([*asked, "--case", "other"]) == 2


def test_a_reader_of_the_page_needs_no_network(tmp_path: Path, folder: Path) -> None:
    _report(tmp_path, _made(tmp_path, failed(1), passed(2)))
    page = (folder / "campaign.html").read_text()

    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_what_is_new_can_be_read_back(tmp_path: Path, folder: Path) -> None:
    report = _report(tmp_path, _made(tmp_path, failed(1)))

    assert CampaignReport.model_validate_json((folder / "campaign.json").read_text()) == report
    assert Broken.model_validate_json((folder / "new.jsonl").read_text()) == report.broken[0]
