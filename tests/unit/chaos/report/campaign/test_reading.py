"""A campaign is complete, or what is missing is named: each test here takes one thing away."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chaos.report.campaign.files import write_reports
from chaos.report.campaign.reading import CampaignError, read_campaign, record_of
from chaos.search.campaign import names
from chaos.search.campaign.model import CaseRecord, Ended, Keep, Never
from chaos.search.campaign.store import Store, StoreError
from tests.unit.chaos.hostile import HOSTILE
from tests.unit.chaos.report.made_campaign import Made, failed, passed, unknown, whole

CASES = (passed(1), passed(2), passed(3))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return whole(tmp_path / "evidence", tmp_path / "scratch", CASES)


def _file(made: Made, name: str) -> Path:
    return Path(made.store.address) / name


def _rewrite(made: Made, name: str, change: Callable[[Any], object]) -> None:
    """As somebody might who can write there."""
    data = json.loads(_file(made, name).read_bytes())
    change(data)
    _file(made, name).write_text(json.dumps(data))


def _gaps(made: Made, *, verify: bool = False) -> Sequence[str]:
    return [f"{gap.case}: {gap.problem}" for gap in read_campaign(made.store, verify=verify).gaps]


def test_a_whole_campaign_has_no_gap(made: Made) -> None:
    assert _gaps(made, verify=True) == []
    assert len(read_campaign(made.store).records) == 3


def _bundle(made: Made, case: CaseRecord) -> Path:
    return _file(made, record_of(made.store, case.case.name).bundle)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-12] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda made: _file(made, names.verdict("order-charge-2")).unlink(),
            "order-charge-2: it was chosen, and has no verdict",
        ),
        (
            lambda made: _file(made, names.verdict("order-charge-2")).write_text("{"),
            "order-charge-2: cases/order-charge-2/verdict.json is damaged",
        ),
        (
            lambda made: _rewrite(
                made,
                names.verdict("order-charge-2"),
                lambda data: data["judged"].update(verdict="splendid"),
            ),
            "order-charge-2: cases/order-charge-2/verdict.json is damaged",
        ),
        (
            lambda made: _rewrite(
                made,
                names.verdict("order-charge-2"),
                lambda data: data["judged"].update(verdict="failed"),
            ),
            ": the campaign has counted 3 as passed, and its store has 2",
        ),
        (
            lambda made: _file(made, names.verdict("order-charge-2")).write_bytes(
                _file(made, names.verdict("order-charge-1")).read_bytes()
            ),
            "order-charge-2: its verdict is that of another case, order-charge-1",
        ),
        (
            lambda made: made.store.create("cases/order-charge-2/verdict-2.json", b"{}"),
            "order-charge-2: cases/order-charge-2/verdict-2.json is nothing that a campaign",
        ),
        (
            lambda made: made.store.create(
                names.verdict("order-charge-9"), passed(9).model_dump_json().encode()
            ),
            "order-charge-9: no turn has chosen it",
        ),
        (lambda made: made.turn(passed(1).case), "order-charge-1: it was chosen 2 times"),
        (
            lambda made: _file(made, names.turn(1)).rename(_file(made, names.turn(3))),
            ": turns/000001.json is missing",
        ),
        (
            lambda made: _file(made, names.turn(1)).write_text("[]"),
            ": turns/000001.json is damaged",
        ),
        (
            lambda made: _bundle(made, CASES[0]).unlink(),
            "order-charge-1: its evidence is missing",
        ),
        (
            lambda made: _rewrite(
                made, names.verdict("order-charge-1"), lambda data: data.update(bundle="")
            ),
            "order-charge-1: its evidence was not kept",
        ),
        (lambda made: _file(made, names.THE_PLAN).unlink(), ": the plan, or the evidence"),
        (lambda made: _file(made, names.SUMMARY).write_text("1"), ": summary.json is damaged"),
        (
            lambda made: _rewrite(made, names.SUMMARY, lambda data: data.update(unknown=1)),
            ": the campaign has counted 1 as unknown, and its store has 0",
        ),
    ],
)
def test_what_is_missing_is_named_and_nothing_has_passed(
    made: Made, tmp_path: Path, damage: Callable[[Made], object], told: str
) -> None:
    damage(made)

    assert [gap for gap in _gaps(made) if gap.startswith(told)], _gaps(made)
    report = write_reports(made.store, tmp_path / "report")
    assert report.verdict in {"failed", "unknown"}
    assert report.gaps


def test_a_changed_byte_of_evidence_is_found_when_it_is_asked_for(made: Made) -> None:
    _flip(_bundle(made, CASES[1]))

    assert _gaps(made) == []
    assert [
        "order-charge-2: the evidence of order-charge-2 was changed" in g
        for g in _gaps(made, verify=True)
    ] == [True]


def test_so_is_one_of_the_runs_without_a_fault(made: Made) -> None:
    (bundle,) = made.store.list("undisturbed")
    _flip(_file(made, bundle))

    assert _gaps(made) == []
    assert ["undisturbed runs was changed" in gap for gap in _gaps(made, verify=True)] == [True]


def test_a_file_too_large_or_a_link_is_a_gap(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_bytes(_file(made, names.verdict("order-charge-1")).read_bytes())
    _file(made, names.verdict("order-charge-1")).unlink()
    _file(made, names.verdict("order-charge-1")).symlink_to(tmp_path / "other")
    assert _gaps(made)[0] == "order-charge-1: it was chosen, and has no verdict"

    monkeypatch.setattr("chaos.report.campaign.reading.MOST_BYTES", 1_100)
    _file(made, names.verdict("order-charge-2")).write_text(" " * 2_000)
    assert any("is larger than a campaign writes" in gap for gap in _gaps(made))


def test_where_the_verdict_alone_is_to_be_kept_no_evidence_is_missed(tmp_path: Path) -> None:
    made = whole(
        tmp_path / "evidence",
        tmp_path / "scratch",
        [passed(1), failed(2), unknown(3)],
        kept=Keep.FAILURES,
    )

    assert _gaps(made) == []
    _rewrite(made, names.verdict("order-charge-3"), lambda data: data.update(bundle=""))
    assert _gaps(made) == ["order-charge-3: its evidence was not kept"]


def test_what_nobody_could_judge_has_a_reason(tmp_path: Path) -> None:
    made = Made(tmp_path / "evidence")
    made.plan(tmp_path / "scratch")
    made.turn(passed(1).case, passed(2).case)
    record = made.judge(passed(1), tmp_path / "scratch")
    made.end([record], unknown=1, never=[Never(name="order-charge-2", reason="10 attempts lost")])

    kept = read_campaign(made.store)
    assert kept.gaps == []
    report = write_reports(made.store, tmp_path / "report")
    assert report.verdict == "unknown"
    assert report.why == "1 cases were never judged: 10 attempts lost"


def test_a_verdict_that_the_workflow_did_not_hear_counts(tmp_path: Path) -> None:
    """The machine wrote it when its campaign had been stopped."""
    made = Made(tmp_path / "evidence")
    made.plan(tmp_path / "scratch")
    made.turn(passed(1).case)
    made.judge(passed(1), tmp_path / "scratch")
    made.end([], never=[Never(name="order-charge-1", reason="stopped")])

    report = write_reports(made.store, tmp_path / "report")
    assert (report.totals.judged, report.totals.never, report.gaps) == (1, 0, ())


def test_the_evidence_of_an_attempt_that_came_second_is_counted_and_is_no_gap(
    tmp_path: Path,
) -> None:
    def judged_again(made: Made) -> None:
        (tmp_path / "scratch" / "campaign-1" / "order-charge-1" / "more").write_text("x")
        made.judge(failed(1), tmp_path / "scratch" / "campaign-1")

    made = whole(tmp_path / "evidence", tmp_path / "scratch", CASES, before_end=judged_again)
    report = write_reports(made.store, tmp_path / "report", verify=True)

    assert report.totals.second_verdicts == 1
    assert (report.verdict, report.gaps) == ("passed", ())


def test_a_campaign_that_runs_has_open_cases_and_has_not_passed(tmp_path: Path) -> None:
    made = Made(tmp_path / "evidence")
    made.plan(tmp_path / "scratch")
    made.turn(passed(1).case, passed(2).case)
    made.judge(passed(1), tmp_path / "scratch")
    report = write_reports(made.store, tmp_path / "report")

    assert (report.verdict, report.why, report.has_ended) == ("unknown", "it has not ended", False)
    assert (report.totals.open, report.gaps) == (1, ())


def test_what_is_no_campaign_is_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="there is no campaign at"):
        read_campaign(Store.open(str(tmp_path / "evidence"), "campaign-2"))
    _file(made, names.CAMPAIGN).write_text("{}")
    with pytest.raises(CampaignError, match="damaged, or of another version"):
        read_campaign(made.store)


def test_of_one_case_only_its_own_verdict_is_taken(made: Made) -> None:
    with pytest.raises(CampaignError, match="has no verdict of a case other"):
        record_of(made.store, "other")
    with pytest.raises(StoreError, match="cannot be the name"):
        record_of(made.store, HOSTILE)
    _file(made, names.verdict("order-charge-1")).write_bytes(
        _file(made, names.verdict("order-charge-2")).read_bytes()
    )
    with pytest.raises(CampaignError, match="is the verdict of another case"):
        record_of(made.store, "order-charge-1")


def test_the_end_is_written_once_and_only_of_this_campaign(made: Made) -> None:
    first = made.store.read(names.SUMMARY)
    made.end([], why="again")

    assert made.store.read(names.SUMMARY) == first
    other = Ended.model_validate_json(first or b"").model_copy(update={"campaign_id": "campaign-2"})
    with pytest.raises(StoreError, match="is no end of"):
        made.end([], campaign_id=other.campaign_id)
