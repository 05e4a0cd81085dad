"""A machine of a campaign plans and tries points of real orders, with the verdicts of one machine
alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.environment.target import EVIDENCE, PORT, Service, Target
from chaos.evidence.bills import Bill, Charge
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants.verdict import Verdict
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.search.campaign import names
from chaos.search.campaign.bundles import unpack_undisturbed
from chaos.search.campaign.found import Found
from chaos.search.campaign.machine import Host, Machine, open_machine
from chaos.search.campaign.model import Campaign, Explore, Stage
from chaos.search.campaign.plans import PLANNED, PlannedExplore, PointCase, cases_of
from chaos.search.campaign.points import plan, run_point
from chaos.search.campaign.store import Store
from chaos.search.campaign.trying import ATTEMPTS
from chaos.search.crash.lanes import Means, metered
from chaos.search.explore.explorer import explore
from chaos.search.explore.state import State

PROJECT = Path(__file__).parents[3]
ORDERS = PROJECT / "examples" / "orders"
BOOKS = {"payments": "charges.jsonl", "carrier": "parcels.jsonl"}
WORK = Explore(specs=("order",))

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(240)]


def _order(order_id: str) -> WorkflowSpec:
    return WorkflowSpec(
        workflow_id=order_id,
        workflow_type="Order",
        arguments=({"order_id": order_id, "amount_cents": 4990, "address": "Chaos Lane 1"},),
        charges=(Charge(item="charges", key=order_id), Charge(item="parcels", key=order_id)),
    )


def _bills(folder: Path) -> Iterator[Bill]:
    for name in BOOKS.values():
        books = folder / name
        for line in books.read_text().splitlines() if books.exists() else ():
            entry = json.loads(line)
            yield Bill(
                at=datetime.fromtimestamp(entry["at"], UTC),
                item=entry["thing"],
                key=entry["order_id"],
                amount_usd=Decimal(entry["price_usd"]),
            )


def _double(name: str, books: str) -> Service:
    argv = (sys.executable, str(ORDERS / "orders" / "doubles.py"), PORT, f"{EVIDENCE}/{books}")
    return Service(name=name, argv=argv, variable=f"{name.upper()}_URL")


SHOP = Target(
    worker=(sys.executable, "-m", "orders.worker"),
    task_queue="orders",
    cwd=ORDERS,
    services=tuple(_double(*each) for each in BOOKS.items()),
    prices_usd={"charges": Decimal("0.30"), "parcels": Decimal("6.50")},
    bills=_bills,
    specs={"order": _order},
)
FORGETFUL = replace(SHOP, worker=(sys.executable, "-m", "tests.forgetful_worker"))


@dataclass
class Bed:
    """A campaign, and a machine for it."""

    machine: Machine
    store: Store
    campaign: Campaign
    folder: Path

    async def planned(self) -> PlannedExplore:
        save = await plan(self.campaign, self.machine, self.store, self._new("plan"), _unheard)
        count = save()
        found = PLANNED.validate_json(self.store.read(names.THE_PLAN) or b"")
        assert isinstance(found, PlannedExplore)
        assert count == len(found.plan.chosen)
        return found

    async def run(self, case: PointCase) -> tuple[Found, Path, list[Stage]]:
        folder, told = self._new(case.ref.name), list[Stage]()
        found = await run_point(
            self.campaign, case.ref, self.machine, self.store, folder, told.append
        )
        return found, folder, told

    def _new(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder


def _unheard(_: Stage) -> None:
    """Nobody listens."""


@asynccontextmanager
async def _bed(target: Target, reaper: Reaper, cli: Path, tmp_path: Path) -> AsyncIterator[Bed]:
    campaign = Campaign(
        campaign_id="campaign-1",
        target="m:T",
        code="c",
        evidence=str(tmp_path / "store"),
        work=WORK,
    )
    async with metered() as meter:
        host = Host("one", 2, reaper, find_temporal_cli(cli, announce=print), meter)
        async with open_machine(host, target, ORDERS) as machine:
            store = Store.open(campaign.evidence, campaign.campaign_id)
            yield Bed(machine, store, campaign, tmp_path)


def _named(planned: PlannedExplore, part: str) -> PointCase:
    (found,) = (each for each in cases_of(WORK, planned) if part in each.ref.name)
    return found


@pytest.mark.sample
async def test_a_machine_plans_and_tries_points(
    reaper: Reaper, temporal_cli: Path, tmp_path: Path
) -> None:
    async with _bed(SHOP, reaper, temporal_cli, tmp_path) as bed:
        planned = await bed.planned()
        unpack_undisturbed(bed.store, planned, tmp_path / "undisturbed")
        case = _named(planned, "workflow_task-Order-delivered-1")
        found, folder, told = await bed.run(case)

    assert found.verdict is Verdict.PASSED, found.reason
    assert f"kill at {case.disturbance.point.boundary}" in found.cells
    assert any(cell.startswith("kill|worker|") for cell in found.cells)
    assert found.shapes
    assert told == [Stage.STARTING, Stage.RUNNING, Stage.JUDGING]
    (attempt,) = ATTEMPTS.validate_json(found.found)
    assert SHOP.load_evidence(folder / attempt.workflow_id).workflows
    assert list((tmp_path / "undisturbed").glob("order-fault-free-1-*/histories/*"))


async def test_a_worker_that_forgets_its_key_fails_as_on_one_machine(
    reaper: Reaper, temporal_cli: Path, tmp_path: Path
) -> None:
    async with _bed(FORGETFUL, reaper, temporal_cli, tmp_path) as bed:
        planned = await bed.planned()
        case = _named(planned, "POST-charges-answered")
        found, _, _ = await bed.run(case)
    means = Means(target=FORGETFUL, temporal_cli=temporal_cli, reaper=reaper, say=print, lanes=1)
    with closing(State.begin(tmp_path / "reports")) as state:
        state.save_plan(planned.plan.model_copy(update={"chosen": (case.disturbance.name,)}))
        await explore(state, planned.plan.choice, means)
        (alone,) = state.outcomes()

    (attempt,) = ATTEMPTS.validate_json(found.found)
    assert (found.verdict, alone.verdict) == (Verdict.FAILED, Verdict.FAILED)
    assert "billed_at_most_expected" in found.broke
    assert (attempt.billed_usd, attempt.proven) == (
        alone.attempts[-1].billed_usd,
        alone.attempts[-1].proven,
    )
