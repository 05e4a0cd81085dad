"""A run of somebody else's project judged again: by its own targets, or by what holds of any."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import Evidence, Scenario, Target, invariant
from chaos.evidence.bills import Bill, Charge
from chaos.evidence.case import save_books
from chaos.experiment.judge import verdict_of
from chaos.experiment.scenario import COMMON, Case
from chaos.invariants.verdict import Finding, Verdict
from chaos.report.evidence import UNNAMED, load_evidence
from chaos.report.recheck import recheck
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO

RECORDED = Path(__file__).parents[4] / "data" / "orders"
CASES = {
    "worker_dies_charging": "sigkill",
    "server_restarts": "sigkill",
    "payments_hang_up": "reset",
}
BOOKS = "charges.jsonl"


def _bills(folder: Path) -> Iterator[Bill]:
    for line in (folder / BOOKS).read_text().splitlines():
        charge = json.loads(line)
        yield Bill(at=charge["at"], item="order", key=charge["order_id"], amount_usd="49.90")


@invariant
def charged_once(evidence: Evidence) -> Iterator[str]:
    """By the books of who was paid."""
    times = Counter(bill.key for bill in evidence.bills)
    for spec in evidence.specs:
        if times[spec.workflow_id] != 1:
            yield f"{spec.workflow_id} was charged {times[spec.workflow_id]} times"


SHOP = Target(worker=("no-such-worker",), task_queue="orders", bills=_bills)


def _scenario(name: str, case: str) -> Scenario:
    async def nothing(_: object) -> None:
        pytest.fail("a recheck runs nothing")

    known = Case(
        name=case,
        target=SHOP,
        experiment=nothing,
        proofs=(),
        load=lambda _: (),
        invariants=(charged_once,),
        undisturbed=True,
    )
    return Scenario(name=name, title=name, cases=(known,))


SCENARIOS = tuple(_scenario(*names) for names in CASES.items())


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """A copy of a run that release 0.1 has made of the example."""
    return Path(shutil.copytree(RECORDED, tmp_path / "run"))


def _checks(run: Path, scenarios: tuple[Scenario, ...], name: str) -> dict[str, Finding]:
    found = recheck(run, scenarios)
    (case,) = next(s.cases for s in found.result.scenarios if s.name == name)
    return {c.check: Finding(c.check, c.verdict, c.problems) for c in case.checks}


def test_its_target_reads_who_was_paid(orders: Path) -> None:
    found = recheck(orders, SCENARIOS)

    assert {f"{s.cost_usd}" for s in found.result.scenarios} == {"49.90"}
    assert [s.billed for s in found.result.scenarios] == [{"order": 1}] * 3


def test_its_own_invariant_sees_what_is_broken(orders: Path) -> None:
    books = orders / "worker_dies_charging" / "sigkill" / BOOKS
    assert _checks(orders, SCENARIOS, "worker_dies_charging")["charged_once"].verdict == "passed"

    books.write_text(books.read_text() * 2)

    found = _checks(orders, SCENARIOS, "worker_dies_charging")["charged_once"]
    assert found == Finding("charged_once", Verdict.FAILED, ("order-killed was charged 2 times",))


def test_by_the_code_of_another_project_it_is_unknown_at_best(orders: Path) -> None:
    """Nothing of that project can read its specs: it is judged by what its own files say."""
    found = recheck(orders, all_scenarios())

    assert {s.verdict for s in found.result.scenarios} == {Verdict.UNKNOWN}
    checks = _checks(orders, tuple(all_scenarios()), "payments_hang_up")
    assert checks["recheck"].problems == (
        "no target of this project has a scenario payments_hang_up in `scenarios`",
    )
    assert set(checks) == {"recheck", *(each.name for each in COMMON if each.at_any_moment)}


def test_a_bill_too_many_is_seen_without_any_code_of_its_own(orders: Path) -> None:
    """Since 0.2 a case keeps what was billed and what was due: it fails, whoever judges it."""
    case = orders / "server_restarts" / "sigkill"
    (spec,) = Evidence.load(case).specs
    due = spec.model_copy(update={"charges": (Charge(item="order", key=spec.workflow_id),)})
    (case / "expectations.json").unlink()
    (case / "specs.json").write_text(f"[{due.model_dump_json()}]")
    (case / BOOKS).write_text((case / BOOKS).read_text() * 2)
    save_books(case, SHOP.reading)
    moved = orders / "another_name"
    shutil.move(case.parent, moved)

    checks = _checks(orders, SCENARIOS, "another_name")

    assert checks["billed_at_most_expected"].verdict is Verdict.FAILED
    assert verdict_of(list(checks.values())) is Verdict.FAILED


def _unreadable(_: Path) -> Iterator[Bill]:
    raise LookupError("these are no books of mine")


def test_evidence_is_read_by_the_first_target_that_can() -> None:
    case = RECORDED / "server_restarts" / "sigkill"
    another = replace(SHOP, bills=_unreadable)

    target, evidence = load_evidence(case, [another, SHOP])
    assert (target, [bill.key for bill in evidence.bills]) == (SHOP, ["order-outage"])

    target, evidence = load_evidence(case, [another])
    assert (target, evidence.bills) == (UNNAMED, ())


def test_what_nobody_can_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_evidence(tmp_path, [VIDEO, SHOP])
