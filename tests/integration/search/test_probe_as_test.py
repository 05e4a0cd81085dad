"""`chaos.probe` is a test of a project's own, which fails where a crash does harm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import chaos
from chaos.search.probe.record import Fate

PLANTED = Path(__file__).parents[2] / "data" / "guests" / "planted"


def _order(workflow_id: str) -> chaos.WorkflowSpec:
    order = {"order_id": workflow_id, "amount_cents": 4990, "address": "Chaos Lane 1"}
    return chaos.WorkflowSpec(workflow_id=workflow_id, workflow_type="Order", arguments=(order,))


TARGET = chaos.Target(
    worker=(sys.executable, "no_heartbeat.py"),
    task_queue="planted",
    cwd=PLANTED,
    specs={"order": _order},
)


@pytest.mark.timeout(180)
def test_it_fails_with_the_worst_that_was_found(tmp_path: Path, temporal_cli: Path) -> None:
    with pytest.raises(chaos.ProbeFailed) as failed:
        chaos.probe(
            TARGET,
            "order",
            at=["activity ship_parcel delivered"],
            reports=tmp_path,
            temporal_cli=temporal_cli,
        )

    first, second = str(failed.value).splitlines()
    assert first.startswith("order breaks at 1 of 1 points; see ")
    assert second.startswith("stuck, kill at activity ship_parcel delivered 1: ")
    (folder,) = tmp_path.iterdir()
    assert (folder / "index.html").exists()


@pytest.mark.nightly
@pytest.mark.timeout(180)
def test_it_tells_what_became_of_each_point(tmp_path: Path, temporal_cli: Path) -> None:
    at = ["activity ship_parcel completed", "workflow_task Order completed 2"]
    found = chaos.probe(TARGET, "order", at=at, reports=tmp_path, temporal_cli=temporal_cli)

    assert {(cell.action, cell.fate) for cell in found.cells} == {
        ("kill", Fate.SURVIVED),
        ("drop", Fate.SURVIVED),
    }
    dropped = [cell for cell in found.cells if cell.action == "drop"]
    told = [moment.text for cell in dropped for moment in cell.timeline]
    for what in ("activity ship_parcel", "workflow task Order"):
        assert f"{what}: reported done again, and got NOT_FOUND: the server knew" in told
