"""A failure is shrunk as a case: what was found out is not lost with the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaos.environment.target import Target
from chaos.experiment.events import CaseName, Reached
from chaos.experiment.events import Stage as Reach
from chaos.experiment.results import (
    CaseResult,
    CheckResult,
    ScenarioResult,
    broken_case_result,
    scenario_result,
)
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import AtBoundary, CommandFault
from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names, shrinking
from chaos.search.campaign.drawing import data_of
from chaos.search.campaign.found import Found
from chaos.search.campaign.model import (
    Campaign,
    CaseKind,
    CaseRecord,
    CaseRef,
    Judged,
    Seeds,
    Stage,
    Versions,
)
from chaos.search.campaign.runs import run_case
from chaos.search.campaign.store import StoreError
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import Planned, Schedule, ScheduleError, read_schedule
from chaos.search.seeded import seeded
from tests.unit.chaos.search.campaign.stores import Kept
from tests.unit.chaos.search.campaign.system import TWICE, System
from tests.unit.chaos.search.guest import GUEST

LOSES_ANSWERS = AtBoundary.model_validate(
    {"type": "at_boundary", "boundary": "call * answered 1", "action": "drop"}
)
REF = CaseRef(name="shrink-seed_7", kind=CaseKind.SHRINK)
CAMPAIGN = Campaign(campaign_id="one", target="", code="c", evidence="e", work=Seeds())


def _planned(fault: object) -> Planned:
    return Planned.model_validate({"at_seconds": 0.0, "lasting_seconds": 0.0, "fault": fault})


def _failing() -> Schedule:
    """Two answers are lost in a row, among other faults."""
    drawn = draw(7, Wishes(duration_seconds=10, workflows=3, families=("kill", "server")), GUEST)
    lost = [_planned(LOSES_ANSWERS.model_copy()) for _ in range(2)]
    return drawn.model_copy(update={"faults": (*drawn.faults, *lost)})


FAILING = _failing()


def _kept(schedule: Schedule = FAILING, broke: str = TWICE) -> Kept:
    """A store with the failure."""
    store = Kept()
    store.create(names.schedule("seed_7"), data_of(schedule))
    now = datetime.now(UTC)
    record = CaseRecord(
        judged=Judged(name="seed_7", verdict=Verdict.FAILED, broke=broke),
        case=CaseRef(name="seed_7", kind=CaseKind.SCHEDULE),
        versions=Versions(suite="", sdk="", server="", python="", target=""),
        began_at=now,
        ended_at=now,
    )
    store.create(names.verdict("seed_7"), record.model_dump_json().encode())
    return store


class LostError(Exception):
    """The machine is gone."""


@dataclass
class Stand:
    """A machine whose system is on paper. It is lost at its run `lost_at`."""

    target: Target = GUEST
    project: Path = Path()
    breaks: bool = True
    lost_at: int = 0
    schedules: dict[str, Schedule] = field(default_factory=dict)
    runs: list[list[str]] = field(default_factory=list)

    async def run(
        self, scenario: Scenario, folder: Path, emit: Callable[[object], None]
    ) -> ScenarioResult:
        self.runs.append([case.name for case in scenario.cases])
        if len(self.runs) == self.lost_at:
            raise LostError
        for case in scenario.cases:
            (folder / scenario.name / case.name).mkdir(parents=True)
            emit(Reached(CaseName(scenario.name, case.name), Reach.RUNNING))
        return scenario_result(scenario, [self._result(case) for case in scenario.cases])

    def _result(self, case: Case) -> CaseResult:
        is_broken = self.breaks and System(self.schedules[case.name]).judged().broke == TWICE
        name, _, problem = TWICE.partition(": ")
        checks = (CheckResult(check=name, verdict=Verdict.FAILED, problems=(problem,)),)
        return broken_case_result(case, "as it is").model_copy(
            update={
                "verdict": Verdict.FAILED if is_broken else Verdict.PASSED,
                "checks": checks if is_broken else (),
            }
        )


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Schedule]:
    """The schedules that were made into scenarios, which the system on paper needs to see."""
    found: dict[str, Schedule] = {}

    def remembered(schedules: Sequence[Schedule], target: Target) -> Scenario:
        found.update({each.name: each for each in schedules})
        return seeded(schedules, target)

    monkeypatch.setattr(shrinking, "seeded", remembered)
    return found


async def _shrunk(store: Kept, stand: Stand, folder: Path, say: list[Stage]) -> Found:
    return await run_case(CAMPAIGN, REF, stand, store, folder, say.append)  # type: ignore[arg-type]  # a stand-in


async def test_two_faults_in_a_row_are_left_and_can_be_replayed(
    seen: dict[str, Schedule], tmp_path: Path
) -> None:
    store = _kept()
    said: list[Stage] = []

    found = await _shrunk(store, Stand(schedules=seen), tmp_path, said)

    assert (found.verdict, found.broke) == (Verdict.FAILED, TWICE)
    assert f"{len(FAILING.faults)} fault(s) and 3 workflow(s) of seed_7 became 2 and 1" in (
        found.reason
    )
    file = tmp_path / "failure.json"
    file.write_bytes(store.kept[names.failure(TWICE)])
    replayed = read_schedule(file)
    assert [planned.fault for planned in replayed.faults] == [LOSES_ANSWERS, LOSES_ANSWERS]
    assert len(replayed.starts) == 1
    assert Schedule.model_validate_json(found.found) == replayed
    assert set(said) == {Stage.RUNNING}


async def test_only_the_evidence_of_the_result_is_kept(
    seen: dict[str, Schedule], tmp_path: Path
) -> None:
    await _shrunk(_kept(), Stand(schedules=seen), tmp_path, [])

    assert [str(each.relative_to(tmp_path)) for each in _folders(tmp_path)] == [
        "seeded",
        "seeded/seed_7",
    ]


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_dir())


@pytest.mark.parametrize("lost_at", [1, 3, 5])
async def test_what_was_found_out_is_not_lost_with_the_machine(
    lost_at: int, seen: dict[str, Schedule], tmp_path: Path
) -> None:
    whole, lost = Stand(schedules=seen), Stand(schedules=seen, lost_at=lost_at)
    expected = await _shrunk(_kept(), whole, _new(tmp_path / "whole"), [])
    store, next_one = _kept(), Stand(schedules=seen)

    with pytest.raises(LostError):
        await _shrunk(store, lost, _new(tmp_path / "lost"), [])
    found = await _shrunk(store, next_one, _new(tmp_path / "next"), [])

    assert found == expected
    assert [*lost.runs[:-1], *next_one.runs] == whole.runs


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def test_what_does_not_fail_again_is_unknown(
    seen: dict[str, Schedule], tmp_path: Path
) -> None:
    store = _kept()

    found = await _shrunk(store, Stand(schedules=seen, breaks=False), tmp_path, [])

    assert (found.verdict, found.broke) == (Verdict.UNKNOWN, "")
    assert "did not fail again" in found.reason
    assert names.failure(TWICE) not in store.kept


async def test_what_fails_in_another_way_is_another_failure(
    seen: dict[str, Schedule], tmp_path: Path
) -> None:
    found = await _shrunk(_kept(broke="other: it hangs"), Stand(schedules=seen), tmp_path, [])

    assert found.verdict is Verdict.UNKNOWN
    assert f"of seed_7 became {len(FAILING.faults)} and 3" in found.reason, "nor led by it"


class Raced(Kept):
    """A store in which another machine answers the first step just before, and otherwise."""

    def create(self, name: str, data: bytes) -> bool:
        if name == names.progress(REF.name, 1):
            super().create(name, data.replace(b"false", b"true"))
        return super().create(name, data)


async def test_of_two_machines_at_one_step_the_first_answer_counts(
    seen: dict[str, Schedule], tmp_path: Path
) -> None:
    whole, second, store = Stand(schedules=seen), Stand(schedules=seen), Raced()
    store.kept.update(_kept().kept)
    expected = await _shrunk(_kept(), whole, _new(tmp_path / "whole"), [])
    found = await _shrunk(store, second, _new(tmp_path / "second"), [])

    assert len(second.runs) == len(whole.runs) + 1, "what is said to fail is tried again"
    assert Schedule.model_validate_json(found.found) == Schedule.model_validate_json(expected.found)


async def test_steps_of_another_search_are_not_gone_on_from(
    seen: dict[str, Schedule], tmp_path: Path
) -> None:
    store = _kept()
    store.create(names.progress(REF.name, 1), b'{"of": "another", "fails": [true]}')

    with pytest.raises(StoreError, match="not of this search"):
        await _shrunk(store, Stand(schedules=seen), tmp_path, [])


@pytest.mark.parametrize("gone", [names.schedule("seed_7"), names.verdict("seed_7")])
async def test_a_failure_that_is_not_there_is_told(
    gone: str, seen: dict[str, Schedule], tmp_path: Path
) -> None:
    store = _kept()
    del store.kept[gone]

    with pytest.raises(StoreError, match="is missing"):
        await _shrunk(store, Stand(schedules=seen), tmp_path, [])


@pytest.mark.parametrize("kind", [CaseKind.SCHEDULE, CaseKind.SHRINK])
async def test_a_schedule_that_would_execute_a_command_is_not_run(
    kind: CaseKind, seen: dict[str, Schedule], tmp_path: Path
) -> None:
    """A store is no place from which machines take commands."""
    command = CommandFault.model_validate({"type": "command", "inject": ["touch", "there"]})
    store = _kept(FAILING.model_copy(update={"faults": (_planned(command),)}))
    stand = Stand(schedules=seen)
    name = REF.name if kind is CaseKind.SHRINK else "seed_7"

    with pytest.raises(ScheduleError, match="executes no commands"):
        await run_case(
            CAMPAIGN,
            CaseRef(name=name, kind=kind),
            stand,  # type: ignore[arg-type]  # a stand-in
            store,
            tmp_path,
            lambda _: None,
        )
    assert stand.runs == []
