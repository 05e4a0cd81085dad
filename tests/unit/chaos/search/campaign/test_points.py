"""Points as cases: which plan counts, and what a machine may conclude."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import pytest

from chaos.environment.target import Target
from chaos.evidence.files import read_file, write_file
from chaos.evidence.history import Status
from chaos.invariants.verdict import Finding, Verdict
from chaos.search.campaign import names, points
from chaos.search.campaign.bundles import BundleError, unpack_undisturbed
from chaos.search.campaign.found import Found
from chaos.search.campaign.machine import Held, Machine
from chaos.search.campaign.model import Campaign, CaseKind, CaseRef, Explore, Probe, Seeds
from chaos.search.campaign.novelty import shapes_of
from chaos.search.campaign.plans import PLANNED, PlannedExplore
from chaos.search.campaign.store import Store
from chaos.search.campaign.trying import ATTEMPTS, found_of
from chaos.search.crash.points import PlanError
from chaos.search.explore import attempts
from chaos.search.explore.judging import Judged
from chaos.search.explore.state import Attempt
from chaos.search.probe.record import Cell, Fate
from chaos.search.probe.record import Finding as Fated
from chaos.wire.boundary import Boundary
from tests.unit.chaos.search.campaign.planned import EXPLORED, PROBED, UNDISTURBED
from tests.unit.chaos.search.campaign.stores import Kept
from tests.unit.chaos.search.explore.kept import PLAN, attempt_of, planned_hit
from tests.unit.chaos.search.probe.made_runs import charged, evidence

POINT = planned_hit("single-activity-start_video-completing-1")
REF = CaseRef(name=POINT.name, kind=CaseKind.POINT)
TARGET = Target(worker=("worker",), task_queue="videos", specs={"single": lambda _: cast("Any", 0)})


class Lane:
    """Stands for one: it remembers what it had to give up."""

    def __init__(self) -> None:
        self.gave_up: list[str] = []

    async def give_up(self, workflow_id: str) -> None:
        self.gave_up.append(workflow_id)


class Lent(AbstractAsyncContextManager[Held]):
    """A lane for a block."""

    def __init__(self, held: Held) -> None:
        self.held = held

    async def __aenter__(self) -> Held:
        return self.held

    async def __aexit__(self, *_: object) -> None:
        return None


class OneLane:
    """A machine that has it."""

    slots = 1

    def __init__(self, target: Target = TARGET) -> None:
        self.target = target
        self.own = Lane()
        self.held = Held(cast("Any", self.own))

    def lane(self) -> AbstractAsyncContextManager[Held]:
        return Lent(self.held)


def planned(plan: PlannedExplore = EXPLORED) -> Kept:
    """A store that has it."""
    store = Kept()
    store.create(names.THE_PLAN, plan.model_dump_json().encode())
    return store


class Raced(Kept):
    """A store in which somebody else writes a plan just before."""

    def create(self, name: str, data: bytes) -> bool:
        if name == names.THE_PLAN:
            super().create(name, EXPLORED.model_dump_json().encode())
        return super().create(name, data)


EXPLORE = Explore(specs=("single",))


def campaign(work: Any = EXPLORE) -> Campaign:
    return Campaign(campaign_id="one", target="m:T", code="c", evidence="/nowhere", work=work)


Try = Callable[..., Any]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets attempts end like these, one after the other."""

    def script(*scripted: Attempt) -> None:
        left = list(scripted)

        async def hit(*_: object, before_judging: Callable[[], None]) -> Judged:
            before_judging()
            attempt = left.pop(0)
            finding = Finding("bills", attempt.verdict, (attempt.reason,))
            return Judged(attempt, [finding], evidence(charged()))

        monkeypatch.setattr(attempts, "hit", hit)

    return script


def folders(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def run(machine: OneLane, folder: Path, ref: CaseRef = REF) -> Found:
    return await points.run_point(
        campaign(), ref, cast("Machine", machine), planned(), folder, lambda _: None
    )


async def test_one_attempt_that_hits_all_is_enough(tried: Try, tmp_path: Path) -> None:
    tried(attempt_of(POINT))
    found = await run(OneLane(), tmp_path)

    assert (found.verdict, found.reason, found.broke) == (Verdict.PASSED, "", "")
    assert found.cells == ("kill at activity start_video completing 1",)
    assert found.shapes == shapes_of(evidence(charged()).all_workflows)
    assert [each.crash_point for each in ATTEMPTS.validate_json(found.found)] == [POINT.name]


async def test_what_was_not_hit_is_tried_again_and_in_the_end_unknown(
    tried: Try, tmp_path: Path
) -> None:
    missed = attempt_of(POINT, proven=(), verdict=Verdict.UNKNOWN, reason="not reached")
    tried(*[missed] * 9)
    found = await run(OneLane(), tmp_path)

    assert (found.verdict, found.reason, found.cells) == (Verdict.UNKNOWN, "not reached", ())
    assert len(ATTEMPTS.validate_json(found.found)) == 5
    assert len(folders(tmp_path)) == 5, "each has an id of its own"


async def test_a_hit_after_a_miss_is_a_pass(tried: Try, tmp_path: Path) -> None:
    tried(attempt_of(POINT, proven=(), verdict=Verdict.UNKNOWN), attempt_of(POINT))

    assert (await run(OneLane(), tmp_path)).verdict is Verdict.PASSED


async def test_a_failure_is_certain_and_says_what_broke(tried: Try, tmp_path: Path) -> None:
    paid = attempt_of(POINT, verdict=Verdict.FAILED, reason="billed 2 times, not 1")
    tried(paid)
    found = await run(OneLane(), tmp_path)

    assert (found.verdict, found.reason) == (Verdict.FAILED, paid.reason)
    assert found.broke == "bills: billed # times, not #"


async def test_a_workflow_that_is_still_open_is_given_up_before_the_next(
    tried: Try, tmp_path: Path
) -> None:
    still = attempt_of(POINT, proven=(), verdict=Verdict.UNKNOWN, status=Status.RUNNING)
    tried(still, still.model_copy(update={"workflow_id": "second"}), attempt_of(POINT))
    machine = OneLane()
    await run(machine, tmp_path)

    assert machine.own.gave_up == [still.workflow_id, "second"]
    assert machine.held.left == ""


async def test_the_last_one_that_is_open_is_left_to_the_machine(tried: Try, tmp_path: Path) -> None:
    tried(attempt_of(POINT, verdict=Verdict.FAILED, status=Status.RUNNING))
    machine = OneLane()
    await run(machine, tmp_path)

    assert machine.held.left == attempt_of(POINT).workflow_id


async def test_a_case_that_the_plan_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="has no case other"):
        await run(OneLane(), tmp_path, REF.model_copy(update={"name": "other"}))


async def plan(store: Store, work: Any, folder: Path) -> int:
    machine = cast("Machine", OneLane())
    return (await points.plan(campaign(work), machine, store, folder, lambda _: None))()


async def test_a_plan_that_is_there_is_used(tmp_path: Path) -> None:
    work = EXPLORE.model_copy(update={"times": 2})

    assert await plan(planned(), EXPLORE, tmp_path) == len(PLAN.chosen)
    assert await plan(planned(), work, tmp_path) == 2 * len(PLAN.chosen)


@pytest.fixture
def one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference has one, and leaves evidence behind."""

    async def reference(_: object, spec: str, folder_of: Callable[[int], Path]) -> Any:
        write_file(folder_of(1) / "histories.txt", spec)
        return PLAN.references[0].model_copy(update={"stops": PLAN.references[0].stops[:1]})

    monkeypatch.setattr(attempts, "reference", reference)


@pytest.mark.usefixtures("one_point")
async def test_the_evidence_of_the_undisturbed_runs_is_in_the_store(tmp_path: Path) -> None:
    store = Kept()

    assert await plan(store, EXPLORE, tmp_path) == 1
    kept = PLANNED.validate_json(store.kept[names.THE_PLAN])
    unpack_undisturbed(store, kept, tmp_path / "again")
    (name,) = kept.files
    assert name.endswith("/histories.txt")
    assert read_file(tmp_path / "again" / name) == b"single"


@pytest.mark.usefixtures("one_point")
async def test_without_that_evidence_there_is_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise BundleError("there is no room.")

    monkeypatch.setattr(points, "keep", full)
    store = Kept()
    with pytest.raises(BundleError):
        await plan(store, EXPLORE, tmp_path)
    assert store.kept == {}


@pytest.mark.usefixtures("one_point")
async def test_evidence_of_the_undisturbed_runs_that_was_changed_is_refused(tmp_path: Path) -> None:
    store = Kept()
    await plan(store, EXPLORE, tmp_path)
    kept = PLANNED.validate_json(store.kept[names.THE_PLAN])
    store.kept[kept.bundle] += b"more"

    with pytest.raises(BundleError, match="undisturbed runs was changed"):
        unpack_undisturbed(store, kept, tmp_path / "again")


@pytest.mark.usefixtures("one_point")
async def test_of_two_planners_the_first_counts(tmp_path: Path) -> None:
    assert await plan(Raced(), EXPLORE, tmp_path) == len(PLAN.chosen)


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff"])
async def test_a_damaged_plan_is_told(damage: bytes, tmp_path: Path) -> None:
    store = Kept()
    store.create(names.THE_PLAN, damage)

    with pytest.raises(PlanError, match="damaged, or of another version"):
        await plan(store, EXPLORE, tmp_path)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (Explore(specs=("other",)), "target's specs: single"),
        (Explore(specs=()), "target's specs: single"),
        (Explore(specs=("single",), action="rm -rf"), "no action"),
        (Probe(spec="other"), "target's specs: single"),
        (Probe(spec="single", at=("nonsense",)), "nonsense"),
        (Probe(spec="single", actions=("explode",)), "no action"),
        (Seeds(), "has no points"),
    ],
)
async def test_a_plan_that_cannot_be_made_is_told(work: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=words):
        await plan(Kept(), work, tmp_path)


def cell_of(*fates: Fate) -> Cell:
    return Cell(
        boundary=Boundary.parse("activity charge_card completing 1"),
        action="kill",
        also=(Boundary.parse("workflow_task Order completed 2"),),
        workflow_id="order-1",
        folder="order-1",
        findings=tuple(Fated(fate=fate, text="so") for fate in fates),
    )


@pytest.mark.parametrize(
    ("fates", "verdict", "broke"),
    [
        ((Fate.SURVIVED,), Verdict.PASSED, ""),
        ((Fate.SENT_AGAIN, Fate.RAN_TWICE), Verdict.PASSED, ""),
        ((Fate.UNKNOWN, Fate.SENT_AGAIN), Verdict.UNKNOWN, ""),
        ((Fate.DONE_TWICE, Fate.UNKNOWN), Verdict.FAILED, "done twice: so"),
        ((Fate.LOST, Fate.DONE_TWICE), Verdict.FAILED, "done twice: so; lost: so"),
    ],
)
def test_a_fate_is_a_verdict(fates: tuple[Fate, ...], verdict: Verdict, broke: str) -> None:
    found = found_of(cell_of(*fates))

    assert (found.verdict, found.broke) == (verdict, broke)
    assert bool(found.cells) is (Fate.UNKNOWN not in fates)


def test_a_probe_is_repeated_on_one_machine_by_its_command() -> None:
    work = Probe(spec="large order", patience_seconds=20)

    assert points.command_of(campaign(work), work) == (
        "temporal-chaos probe --target m:T --spec 'large order' --patience 20"
    )


def test_the_plan_of_a_probe_has_no_value_of_a_result() -> None:
    result = UNDISTURBED.observed.outcome

    assert set(result) == set(PROBED.plan.baseline.outcome) != set()
    assert [value for value in result.values() if value in PROBED.model_dump_json()] == []
