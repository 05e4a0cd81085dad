"""On a cluster that others use, ids have a prefix there and none in what judges them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from chaos.evidence.case import PREFIX, save_prefix
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.survival import workflows_end_as_expected
from tests.chaos.video.case import histories_replay
from tests.chaos.video.evidence import save_live_bills
from tests.chaos.video.fake_api.bills import Received, read_bills
from tests.chaos.video.invariants.files import artifacts_are_their_own
from tests.chaos.video.invariants.money import every_bill_is_on_record
from tests.unit.kept import EVIDENCE, load

KEPT = EVIDENCE / "checkpoint" / "sigkill_after_video_1"
MARK = "chaos-2026-01-02T03-04-05Z-abc123-checkpoint-"
ID = "checkpoint-series"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Kept evidence as an external cluster would have left it; the artifacts' paths stay."""
    folder = tmp_path / "evidence"
    shutil.copytree(KEPT, folder)
    (history,) = (folder / "histories").iterdir()
    history.rename(history.with_name(f"{MARK}{history.name}"))
    calls = json.loads((folder / "paid_calls.json").read_text())
    for call in calls:
        call["operation_id"] = f"{MARK}{call['operation_id']}"
    (folder / "paid_calls.json").write_text(json.dumps(calls))
    save_prefix(folder, MARK)
    return folder


def test_what_judges_sees_no_prefix(folder: Path) -> None:
    evidence = load(folder)

    assert list(evidence.workflows) == [ID]
    assert {call.operation_id for call in evidence.paid_calls} == {ID}
    assert {request.operation_id for request in evidence.paid_requests} == {ID}
    assert all(request.key for request in evidence.paid_requests)
    for check in (workflows_end_as_expected, every_bill_is_on_record, attempts_are_as_expected):
        assert check.examine(evidence).problems == ()
    assert histories_replay.examine(evidence).problems == ()


def test_the_real_id_and_the_history_under_it_are_found(folder: Path) -> None:
    evidence = load(folder)

    assert evidence.real_id(ID) == f"{MARK}{ID}"
    assert evidence.history_file(evidence.workflows[ID]).exists()
    assert evidence.workflows[ID].runs[0].workflow_id == f"{MARK}{ID}"


def test_a_file_outside_the_folder_of_the_real_id_is_seen(folder: Path) -> None:
    problems = artifacts_are_their_own.examine(load(folder)).problems

    assert f"checkpoint-series/character.png lies outside the folder of {ID}" in problems


def test_without_its_prefix_the_workflow_is_lost(folder: Path) -> None:
    (folder / PREFIX).unlink()

    problems = workflows_end_as_expected.examine(load(folder)).problems

    assert problems == (f"{ID} is lost: the server has no history of it",)


def test_live_bills_are_written_from_calls_with_a_prefix(folder: Path) -> None:
    save_live_bills(folder, load(folder).specs)

    records = read_bills(folder / "ledger.jsonl")
    assert len([r for r in records if isinstance(r, Received)]) == 4


def test_where_there_is_no_prefix_no_file_says_so(tmp_path: Path) -> None:
    save_prefix(tmp_path, "")

    assert list(tmp_path.iterdir()) == []
