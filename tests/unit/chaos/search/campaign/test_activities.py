"""A case is carried out once, whatever happens to the processes that try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from chaos.environment.target import Live, Target
from chaos.evidence.headroom import Meter
from chaos.invariants.verdict import Verdict
from chaos.process.child import ChildError
from chaos.process.programs import Binary, Source
from chaos.process.reaper import Reaper
from chaos.search.campaign import activities, names
from chaos.search.campaign.activities import HANDED_BACK, IMPOSSIBLE, Activities, Parts
from chaos.search.campaign.beat import Beat
from chaos.search.campaign.code import code_of
from chaos.search.campaign.found import Found, Say
from chaos.search.campaign.keep import keep_case, read_record
from chaos.search.campaign.machine import Host, Machine
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRecord,
    CaseRef,
    Ended,
    Explore,
    Judged,
    Keep,
    Stage,
    State,
    Turn,
)
from chaos.search.campaign.store import Store, StoreError
from chaos.search.crash.points import PlanError
from chaos.search.schedule import ScheduleError

REF = CaseRef(name="a-case", kind=CaseKind.POINT)
TARGET = "shop:SHOP"


@dataclass
class Town:
    """A stand-in for what carries out cases: `found` is what it finds, or raises."""

    found: Found | Exception = field(default_factory=lambda: Found(Verdict.PASSED))
    going: asyncio.Event | None = None
    running: asyncio.Event = field(default_factory=asyncio.Event)
    began: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    async def run(
        self, _c: Campaign, ref: CaseRef, _m: Machine, _s: Store, folder: Path, say: Say
    ) -> Found:
        self.began.append(ref.name)
        self.folders.append(folder)
        say(Stage.RUNNING)
        self.running.set()
        (folder / "history.json").write_text(f"{len(self.began)}")
        if self.going:
            await self.going.wait()
        self.meanwhile()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def plan(
        self, _c: Campaign, _m: Machine, store: Store, folder: Path, _say: Say
    ) -> Callable[[], int]:
        self.folders.append(folder)
        self.meanwhile()
        return lambda: 3 if store.create(names.THE_PLAN, b"") else 0

    def parts(self) -> Parts:
        def choose(_c: Campaign, turn: Turn, _s: Store, target: Target) -> Batch:
            assert target.task_queue == "orders"
            return Batch(total=turn.most)

        def finish(_c: Campaign, _e: Ended, _s: Store) -> None:
            raise AssertionError

        return Parts(self.plan, self.run, self.run, choose, finish)


@pytest.fixture(scope="module")
def reaper() -> Iterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(f'[tool.chaos]\ntargets = ["{TARGET}"]\n')
    return folder


@pytest.fixture
def campaign(project: Path, tmp_path: Path) -> Campaign:
    return Campaign(
        campaign_id="campaign-1",
        target="",
        code=code_of(project),
        evidence=str(tmp_path / "evidence"),
        work=Explore(specs=("order",)),
    )


@pytest.fixture
def store(campaign: Campaign) -> Store:
    return Store.open(campaign.evidence, campaign.campaign_id)


Make = Callable[..., Activities]


@pytest.fixture
async def make(reaper: Reaper, project: Path) -> AsyncIterator[Make]:
    """Makes the activities of a machine."""
    made: list[Activities] = []

    def new(town: Town, name: str = "here", **more: Any) -> Activities:
        cli = Binary(Path("/temporal"), "temporal", "1.32.0", Source.PATH)
        host = Host(name, 4, reaper, cli, Meter())
        targets = {TARGET: Target(worker=("worker",), task_queue="orders")}
        given = {"leave": pytest.fail, **more}
        made.append(Activities(host, project, targets, code_of(project), town.parts(), **given))
        return made[-1]

    yield new
    for each in made:
        await each.close()


class Asked:
    """A stand-in for the client of a control cluster: what a campaign says it is doing."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get_workflow_handle(self, _: str) -> Asked:
        return self

    async def query(self, *_: Any, **__: Any) -> State:
        return self._state


class Attempt:
    """One attempt of the case, in an environment of its own."""

    def __init__(
        self, number: int = 1, last: Beat | None = None, state: State = State.RUNNING
    ) -> None:
        self.environment = ActivityEnvironment(cast(Client, Asked(state)))
        details = [last.model_dump()] if last else []
        self.environment.info = replace(
            ActivityEnvironment.default_info(), attempt=number, heartbeat_details=details
        )
        self.beats: list[Beat] = []
        self.environment.on_heartbeat = self.beats.append

    async def case(self, machine: Activities, campaign: Campaign, ref: CaseRef = REF) -> Judged:
        return await self.environment.run(machine.case, campaign, ref)


async def test_a_case_has_its_verdict_and_all_its_evidence_in_the_store(
    make: Make, campaign: Campaign, store: Store
) -> None:
    found = Found(Verdict.FAILED, "it broke", "signature", ("cell",), ("shape",))
    town, attempt = Town(found), Attempt()
    judged = await attempt.case(make(town), campaign)

    record = read_record(store, REF.name)
    assert record is not None
    assert record.judged == judged
    assert (judged.verdict, judged.reason) == (Verdict.FAILED, "it broke")
    assert (judged.broke, judged.cells, judged.shapes) == ("signature", ("cell",), ("shape",))
    assert (judged.machine, judged.slots, judged.attempt, judged.lost) == ("here", 4, 1, ())
    assert (record.versions.server, record.versions.target) == ("1.32.0", campaign.code)
    assert list(record.files) == ["history.json"]
    assert store.read(record.bundle)
    assert [beat.stage for beat in attempt.beats] == [Stage.WAITING, Stage.RUNNING, Stage.SAVING]
    assert not town.folders[0].exists()


async def test_of_what_passed_the_verdict_alone_may_be_kept(
    make: Make, campaign: Campaign, store: Store
) -> None:
    campaign = campaign.model_copy(update={"keep": Keep.FAILURES})
    await Attempt().case(make(Town()), campaign)
    assert store.list("cases") == [names.verdict(REF.name)]

    broken = REF.model_copy(update={"name": "b-case"})
    await Attempt().case(make(Town(Found(Verdict.UNKNOWN))), campaign, broken)
    assert len(store.list("cases")) == 3


async def test_without_its_evidence_there_is_no_verdict(
    make: Make, campaign: Campaign, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StoreError("there is no room left.")

    monkeypatch.setattr("chaos.search.campaign.keep.keep", full)
    with pytest.raises(ApplicationError, match="no room left") as raised:
        await Attempt().case(make(Town()), campaign)
    assert not raised.value.non_retryable
    assert store.list("") == []


async def test_a_case_with_a_verdict_does_not_run(make: Make, campaign: Campaign) -> None:
    """As where the machine died after it was written, and before it was told."""
    first = await Attempt().case(make(Town()), campaign)
    town = Town(Found(Verdict.FAILED))
    last = Beat(machine="here", attempt=1, stage=Stage.SAVING)

    again = await Attempt(2, last).case(make(town, "there"), campaign)

    assert again == first
    assert town.began == []


@pytest.mark.parametrize("state", [State.PAUSED, State.ENDING, State.ENDED])
async def test_a_case_does_not_begin_unless_its_campaign_goes_on(
    make: Make, campaign: Campaign, state: State
) -> None:
    town, attempt = Town(), Attempt(state=state)
    with pytest.raises(ApplicationError, match=f"its campaign was {state}") as raised:
        await attempt.case(make(town), campaign)
    assert (raised.value.type, raised.value.non_retryable) == (names.NOT_BEGUN, True)
    assert town.began == []

    judged = await Attempt().case(make(town), campaign)
    assert await Attempt(state=state).case(make(town), campaign) == judged


async def test_of_two_attempts_at_once_the_first_verdict_counts_for_both(
    make: Make, campaign: Campaign, store: Store
) -> None:
    going = asyncio.Event()
    slow, quick = Town(Found(Verdict.FAILED), going), Town()
    first = asyncio.create_task(Attempt().case(make(slow, "slow"), campaign))
    await slow.running.wait()
    second = await Attempt(2).case(make(quick, "quick"), campaign)
    going.set()

    assert await first == second
    assert second.machine == "quick"
    assert [name for name in store.list("cases") if name.endswith("verdict.json")] == [
        names.verdict(REF.name)
    ]


async def test_an_attempt_that_was_lost_is_on_record(make: Make, campaign: Campaign) -> None:
    last = Beat(machine="dead", attempt=1, stage=Stage.CONVERGING)
    attempt = Attempt(2, last)
    judged = await attempt.case(make(Town()), campaign)

    assert [(lost.machine, lost.attempt, lost.stage) for lost in judged.lost] == [
        ("dead", 1, Stage.CONVERGING)
    ]
    assert all(beat.lost == judged.lost for beat in attempt.beats)


@pytest.mark.parametrize(
    ("error", "kind", "is_final"),
    [
        (ChildError("no worker"), HANDED_BACK, False),
        (OSError(28, "No space left on device"), HANDED_BACK, False),
        (ValueError("a bug"), HANDED_BACK, False),
        (PlanError("no such case."), IMPOSSIBLE, True),
        (ScheduleError("it executes a command."), IMPOSSIBLE, True),
    ],
)
async def test_what_cannot_be_carried_out_is_no_verdict(  # noqa: PLR0913, PLR0917 - each is named
    make: Make, campaign: Campaign, store: Store, error: Exception, kind: str, is_final: bool
) -> None:
    attempt = Attempt()
    with pytest.raises(ApplicationError) as raised:
        await attempt.case(make(Town(error)), campaign)

    assert (raised.value.type, raised.value.non_retryable) == (kind, is_final)
    assert raised.value.message.count("\n") == 0
    assert raised.value.__cause__ is None
    assert store.list("") == []
    assert attempt.beats[-1].handed_back is not is_final


async def test_one_that_is_stopped_hands_its_case_back(make: Make, campaign: Campaign) -> None:
    town, attempt = Town(going=asyncio.Event()), Attempt()
    running = asyncio.create_task(attempt.case(make(town), campaign))
    await town.running.wait()
    attempt.environment.worker_shutdown()
    attempt.environment.cancel()

    with pytest.raises(ApplicationError, match="here was stopped"):
        await running
    assert attempt.beats[-1].handed_back
    assert not town.folders[0].exists()


async def test_one_whose_campaign_is_cancelled_is_cancelled(make: Make, campaign: Campaign) -> None:
    town, attempt = Town(going=asyncio.Event()), Attempt()
    running = asyncio.create_task(attempt.case(make(town), campaign))
    await town.running.wait()
    attempt.environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_is_being_saved_is_saved(
    make: Make, campaign: Campaign, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt()

    def cancelled_meanwhile(*given: Any) -> CaseRecord:
        loop.call_soon_threadsafe(attempt.environment.cancel)
        return keep_case(*given)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(activities, "keep_case", cancelled_meanwhile)
    judged = await attempt.case(make(Town()), campaign)
    record = read_record(store, REF.name)
    assert record is not None
    assert record.judged == judged


async def test_a_verdict_about_changed_code_is_none(
    make: Make, campaign: Campaign, store: Store, project: Path
) -> None:
    left: list[str] = []
    town = Town(meanwhile=(project / "new.py").touch)
    machine, attempt = make(town, leave=left.append), Attempt()
    with pytest.raises(ApplicationError, match="has changed from") as raised:
        await attempt.case(machine, campaign)
    assert raised.value.type == HANDED_BACK
    assert attempt.beats[-1].handed_back
    assert left == [raised.value.message]
    assert store.list("") == []

    with pytest.raises(ApplicationError, match="start it again"):
        await Attempt().case(machine, campaign)
    assert town.began == [REF.name]


async def test_a_plan_of_changed_code_is_none(
    make: Make, campaign: Campaign, store: Store, project: Path
) -> None:
    town = Town(meanwhile=(project / "new.py").touch)
    machine, attempt = make(town, leave=lambda _: None), Attempt()
    with pytest.raises(ApplicationError, match="has changed from"):
        await attempt.environment.run(machine.plan, campaign)
    assert store.list("") == []


async def test_a_campaign_of_other_code_is_handed_back(make: Make, campaign: Campaign) -> None:
    other, town = campaign.model_copy(update={"code": "other"}), Town()
    with pytest.raises(ApplicationError, match="of the code other"):
        await Attempt().case(make(town), other)
    assert town.began == []


async def test_only_targets_of_the_project_are_run(make: Make, campaign: Campaign) -> None:
    other, town = campaign.model_copy(update={"target": "os:path"}), Town()
    with pytest.raises(ApplicationError, match="does not serve the target os:path"):
        await Attempt().case(make(town), other)
    assert town.began == []


async def test_a_target_that_pays_real_money_is_run_by_nobody(
    make: Make, campaign: Campaign
) -> None:
    town = Town()
    machine = make(town)
    live = Live(budget_usd=Decimal(1), secrets=(), paid_usd=lambda _: None)
    machine.targets = {TARGET: replace(machine.targets[TARGET], live=live)}
    with pytest.raises(ApplicationError, match="pays real money") as raised:
        await Attempt().case(machine, campaign)
    assert raised.value.non_retryable
    assert town.began == []


async def test_a_thread_of_a_case_may_tell_how_far_it_is(make: Make, campaign: Campaign) -> None:
    class Threaded(Town):
        async def run(self, *given: Any) -> Found:
            await asyncio.to_thread(given[-1], Stage.CONVERGING)
            return Found(Verdict.PASSED)

    attempt = Attempt()
    await attempt.case(make(Threaded()), campaign)
    assert Stage.CONVERGING in [beat.stage for beat in attempt.beats]


async def test_a_verdict_that_no_campaign_wrote_is_not_believed(
    make: Make, campaign: Campaign, store: Store
) -> None:
    store.create(names.verdict(REF.name), b"{}")
    with pytest.raises(ApplicationError, match="is not what a campaign writes"):
        await Attempt().case(make(Town()), campaign)


async def test_a_verdict_of_another_case_is_not_believed(
    make: Make, campaign: Campaign, store: Store
) -> None:
    other = CaseRef(name="another", kind=CaseKind.POINT)
    await Attempt().case(make(Town()), campaign, other)
    store.create(names.verdict(REF.name), store.read(names.verdict(other.name)) or b"")
    with pytest.raises(ApplicationError, match="is not what a campaign writes"):
        await Attempt().case(make(Town()), campaign)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 5), (2, 10), (10, 300)])
async def test_a_store_that_is_away_does_not_use_up_the_attempts(
    make: Make, campaign: Campaign, attempt: int, seconds: float
) -> None:
    with pytest.raises(ApplicationError, match="no place") as raised:
        await Attempt(attempt).case(make(Town(StoreError("no place"))), campaign)
    assert raised.value.type == HANDED_BACK
    assert raised.value.next_retry_delay == timedelta(seconds=seconds)


async def test_plan_and_choice_are_asked_for(make: Make, campaign: Campaign) -> None:
    town = Town()
    machine, attempt = make(town), Attempt()
    assert await attempt.environment.run(machine.plan, campaign) == 3
    assert not town.folders[0].exists()
    batch = await attempt.environment.run(machine.choose, campaign, Turn(number=1, most=7))
    assert batch.total == 7
