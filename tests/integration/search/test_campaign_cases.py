"""Schedules of a campaign on a real stack: what they show, and what they cover."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos import EVIDENCE, PORT, SURVIVAL, Service, Target, WorkflowSpec
from chaos.faults import AtBoundary
from chaos.invariants.verdict import Verdict
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.search.campaign import names
from chaos.search.campaign.drawing import data_of
from chaos.search.campaign.found import Found
from chaos.search.campaign.machine import Host, Machine, open_machine
from chaos.search.campaign.model import Campaign, CaseKind, CaseRef, Seeds, Stage
from chaos.search.campaign.runs import run_case
from chaos.search.campaign.store import Store
from chaos.search.crash.lanes import metered
from chaos.search.schedule import FILE, Planned, PlannedStart, Schedule
from tests.integration.command import PROJECT, chaos

ORDERS = PROJECT / "examples" / "orders"
CAMPAIGN = Campaign(campaign_id="one", target="", code="c", evidence="e", work=Seeds())
LOST = "call POST /charges answered 1"


def _double(name: str, variable: str) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, str(ORDERS / "orders" / "doubles.py"), PORT, f"{EVIDENCE}/{name}"),
        variable=variable,
        settings={"ANSWER_SECONDS": "0.1"},
    )


def _order(order_id: str) -> WorkflowSpec:
    bought = {"order_id": order_id, "amount_cents": 1, "address": "here"}
    return WorkflowSpec(workflow_id=order_id, workflow_type="Order", arguments=(bought,))


SHOP = Target(
    worker=(sys.executable, "-m", "orders.worker"),
    task_queue="orders",
    cwd=ORDERS,
    services=(_double("payments", "PAYMENTS_URL"), _double("carrier", "CARRIER_URL")),
    specs={"order": _order},
    invariants=SURVIVAL,
)


def _schedule(seed: int, *boundaries: str) -> Schedule:
    """An order, whose calls there are lost, one after the other."""
    faults = [
        AtBoundary.model_validate({"type": "at_boundary", "boundary": each, "action": "drop"})
        for each in boundaries
    ]
    return Schedule(
        seed=seed,
        families=("wire",),
        duration_seconds=2,
        workers=1,
        starts=(PlannedStart(workflow_id="load-001", spec="order", at_seconds=0),),
        faults=tuple(Planned(at_seconds=0, lasting_seconds=0, fault=each) for each in faults),
    )


async def _run(
    machine: Machine, store: Store, schedule: Schedule, folder: Path, said: list[Stage]
) -> Found:
    store.create(names.schedule(schedule.name), data_of(schedule))
    await asyncio.to_thread(folder.mkdir)
    ref = CaseRef(name=schedule.name, kind=CaseKind.SCHEDULE)
    return await run_case(CAMPAIGN, ref, machine, store, folder, said.append)


@pytest.mark.nightly
@pytest.mark.sample
@pytest.mark.timeout(120)
async def test_a_schedule_covers_what_its_fault_hit_and_a_retry_is_another_shape(
    reaper: Reaper, tmp_path: Path
) -> None:
    store = Store.open(str(tmp_path / "store"), "one")
    cli = find_temporal_cli(None, announce=print)
    said: list[Stage] = []
    async with metered() as meter:
        host = Host("here", 4, reaper, cli, meter)
        async with open_machine(host, SHOP, PROJECT) as machine:
            quiet, again, lost = await asyncio.gather(
                _run(machine, store, _schedule(1), tmp_path / "quiet", []),
                _run(machine, store, _schedule(2), tmp_path / "again", []),
                _run(machine, store, _schedule(3, LOST), tmp_path / "lost", said),
            )

    assert (lost.verdict, lost.broke) == (Verdict.PASSED, ""), lost.reason
    assert lost.cells == ("drop|link to payments|charge_card|running",)
    assert quiet.cells == ()
    assert len(quiet.shapes) == 1
    assert quiet.shapes == again.shapes
    assert lost.shapes != quiet.shapes
    assert {Stage.STARTING, Stage.RUNNING, Stage.CONVERGING, Stage.JUDGING} <= {*said}
    assert (tmp_path / "lost" / "seeded" / "seed_3" / FILE).exists()


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_the_third_time_shop_breaks_by_two_faults_in_a_row_and_by_neither_alone(
    orders: Path, temporal_cli: Path
) -> None:
    """The planted fault that campaigns look for: else finding it would prove nothing."""
    project = orders / "pyproject.toml"
    project.write_text(project.read_text().replace("tests.shop:SHOP", "tests.third_time:SHOP"))
    _write(orders / "run", _schedule(1, LOST), _schedule(2, LOST, LOST))

    ended = chaos(orders, temporal_cli, "run", f"--replay={orders / 'run'}")

    assert ended.returncode == 1, ended.stdout + ended.stderr
    results = json.loads((orders / "reports" / "latest" / "results.json").read_bytes())
    (scenario,) = results["scenarios"]
    cases = {case["name"]: case for case in scenario["cases"]}
    assert {name: case["verdict"] for name, case in cases.items()} == {
        "seed_1": "passed",
        "seed_2": "failed",
    }
    assert "was billed 2 times instead of 1" in cases["seed_2"]["reason"]


def _write(run: Path, *schedules: Schedule) -> Sequence[Path]:
    folders = [run / "seeded" / each.name for each in schedules]
    for folder, schedule in zip(folders, schedules, strict=True):
        folder.mkdir(parents=True)
        schedule.write(folder)
    return folders
