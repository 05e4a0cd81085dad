"""From a campaign's store to the report that the command writes on one machine: the same files, and
nothing made better than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.evidence.files import read_file, write_file
from chaos.invariants.verdict import Verdict
from chaos.report.campaign.points import PointsReport, write_points
from chaos.report.campaign.reading import Gap, read_campaign
from chaos.report.explored import write_report
from chaos.search.campaign import names
from chaos.search.campaign.bundles import keep
from chaos.search.campaign.model import CaseRecord, Ended, Explore, Judged, Probe, Seeds, Work
from chaos.search.campaign.plans import PlannedExplore, PlannedProbe, PointCase, cases_of
from chaos.search.campaign.trying import ATTEMPTS, found_of
from chaos.search.campaign.workflow import TIME_IS_UP
from chaos.search.explore.state import Attempt, State
from chaos.search.probe.record import Cell, Fate, Finding, load_probe
from tests.schemas import violations
from tests.unit.chaos.report.made_campaign import NOW, VERSIONS, Made
from tests.unit.chaos.search.campaign.planned import PROBED
from tests.unit.chaos.search.explore.kept import PLAN, attempt_of, planned_hit

POINTS = (
    "single-activity-start_video-completing-1",
    "single-workflow_task-SingleVideo-completed-6",
)
EXPLORE = Explore(specs=("single",))
PROBE = Probe(spec="order")
CHOSEN = PROBED.plan.chosen[:3]
FEW = PlannedExplore(plan=PLAN.model_copy(update={"chosen": POINTS}))
SOME = PROBED.model_copy(update={"plan": PROBED.plan.model_copy(update={"chosen": CHOSEN})})

Attempts = Mapping[str, Sequence[Attempt]]
Fates = Mapping[str, Fate]


class Points(Made):
    """A campaign of points, whose undisturbed runs have left a file."""

    def __init__(
        self,
        folder: Path,
        planned: PlannedExplore | PlannedProbe,
        work: Explore | Probe,
    ) -> None:
        super().__init__(folder / "store", work=work)
        self.scratch = folder / "scratch"
        self.cases = {each.ref.name: each for each in cases_of(work, planned)}
        (self.scratch / "undisturbed").mkdir(parents=True)
        write_file(self.scratch / "undisturbed" / "history.json", "{}")
        bundle, files = keep(self.store, "", self.scratch)
        plan = planned.model_copy(update={"bundle": bundle, "files": files})
        self.store.create(names.THE_PLAN, plan.model_dump_json().encode())
        self.turn(*(each.ref for each in self.cases.values()), total=len(self.cases))

    def found(self, case: PointCase, verdict: Verdict, found: str, own: str) -> CaseRecord:
        """The record of a case, with its evidence in a folder of the attempt's own."""
        evidence = self.scratch / case.ref.name
        (evidence / own).mkdir(parents=True)
        write_file(evidence / own / "note.txt", own)
        bundle, files = keep(self.store, case.ref.name, evidence)
        record = CaseRecord(
            judged=Judged(name=case.ref.name, verdict=verdict),
            case=case.ref,
            versions=VERSIONS,
            began_at=NOW,
            ended_at=NOW,
            bundle=bundle,
            files=files,
            found=found,
        )
        self.store.create(names.verdict(case.ref.name), record.model_dump_json().encode())
        return record

    def report(self, folder: Path) -> PointsReport:
        found = write_points(self.store, read_campaign(self.store), folder)
        assert found
        return found


def explored(
    folder: Path, attempts: Attempts, *, why: str = "", work: Explore = EXPLORE
) -> tuple[PointsReport, Path]:
    made = Points(folder, FEW, work)
    records = [
        made.found(
            made.cases[name],
            tried[-1].verdict,
            ATTEMPTS.dump_json(tuple(tried)).decode(),
            tried[-1].workflow_id,
        )
        for name, tried in attempts.items()
    ]
    made.end(records, why=why)
    report = folder / "report"
    report.mkdir()
    return made.report(report), report


GOOD = {name: [attempt_of(planned_hit(name))] for name in POINTS}
BAD = attempt_of(planned_hit(POINTS[0]), verdict=Verdict.FAILED, reason="billed twice")


def test_it_is_the_same_as_that_of_an_exploration_on_one_machine(tmp_path: Path) -> None:
    missed = attempt_of(planned_hit(POINTS[1]), proven=(), verdict=Verdict.UNKNOWN, reason="missed")
    attempts = {POINTS[0]: [BAD], POINTS[1]: [missed, *GOOD[POINTS[1]]]}
    found, folder = explored(tmp_path, attempts)
    with closing(State.begin(tmp_path / "here")) as state:
        state.save_plan(FEW.plan)
        for name in POINTS:
            for each in attempts[name]:
                state.add(each)
        write_report(state)

    assert not found.is_fine
    assert any("1 passed, 1 failed" in line for line in found.lines)
    for name in ("plan.json", "points.jsonl", "explore.json"):
        assert read_file(folder / name) == read_file(state.folder / name), name
    own, other = (read_file(each / "explore.md") for each in (folder, state.folder))
    assert own.partition(b"\n")[2] == other.partition(b"\n")[2], "but for the folder's name"
    assert not any(violations(folder).values())


def test_all_that_passed_is_fine(tmp_path: Path) -> None:
    assert explored(tmp_path, GOOD)[0].is_fine


@pytest.mark.parametrize(
    "attempts",
    [
        {POINTS[0]: GOOD[POINTS[0]]},
        {**GOOD, POINTS[0]: [BAD]},
        {**GOOD, POINTS[0]: [attempt_of(planned_hit(POINTS[0]), proven=())]},
        {**GOOD, POINTS[0]: GOOD[POINTS[1]]},
        {},
    ],
    ids=["one is missing", "failed", "not proven", "of another point", "nothing was tried"],
)
def test_anything_else_is_not(attempts: Attempts, tmp_path: Path) -> None:
    assert not explored(tmp_path, attempts)[0].is_fine


def test_a_point_that_is_hit_twice_must_pass_twice(tmp_path: Path) -> None:
    work = EXPLORE.model_copy(update={"times": 2})
    twice = {**GOOD, **{f"{name}-time-2": GOOD[name] for name in POINTS}}
    once = {**twice, f"{POINTS[0]}-time-2": [attempt_of(planned_hit(POINTS[0]), proven=())]}
    once[f"{POINTS[0]}-time-2"][0] = once[f"{POINTS[0]}-time-2"][0].model_copy(
        update={"verdict": Verdict.UNKNOWN}
    )

    assert explored(tmp_path / "twice", twice, work=work)[0].is_fine
    assert not explored(tmp_path / "once", once, work=work)[0].is_fine


def test_the_evidence_of_what_did_not_pass_is_beside_it(tmp_path: Path) -> None:
    _, folder = explored(tmp_path, {**GOOD, POINTS[0]: [BAD]})

    assert read_file(folder / "tries" / BAD.workflow_id / "note.txt")
    assert (folder / "tries" / "undisturbed" / "history.json").exists()
    assert not (folder / "tries" / GOOD[POINTS[1]][0].workflow_id).exists()


def cell_of(case: PointCase, fate: Fate) -> Cell:
    return Cell(
        boundary=case.disturbance.point.boundary,
        action=case.disturbance.action,
        workflow_id=f"{case.ref.name}-1-abcdef",
        folder=f"{case.ref.name}-1-abcdef",
        findings=(Finding(fate=fate, text="so"),),
    )


def probed(folder: Path, fates: Sequence[Fate], why: str = "") -> tuple[PointsReport, Path]:
    made = Points(folder, SOME, PROBE)
    records = []
    for case, fate in zip(made.cases.values(), fates, strict=False):
        cell = cell_of(case, fate)
        verdict = found_of(cell).verdict
        records.append(made.found(case, verdict, cell.model_dump_json(), cell.folder))
    made.end(records, why=why)
    report = folder / "report"
    report.mkdir()
    return made.report(report), report


FINE = (Fate.SURVIVED, Fate.SURVIVED, Fate.SURVIVED)


def test_a_probe_has_its_page_and_record(tmp_path: Path) -> None:
    found, folder = probed(tmp_path, (Fate.DONE_TWICE, Fate.SURVIVED, Fate.SURVIVED))
    record = load_probe(folder)

    assert not found.is_fine
    assert record.worst_first[0].fate is Fate.DONE_TWICE
    assert (record.chosen, record.found, record.ended) == (3, PROBED.plan.found, "")
    assert record.command == "temporal-chaos probe --target shop:SHOP --spec order"
    assert record.masked == ("charge_id", "parcel_id")
    bad = record.worst_first[0]
    assert (folder / "runs" / bad.folder / "note.txt").exists()
    assert f'href="runs/{bad.folder}/"' in (folder / "index.html").read_text()
    assert [cell.folder for cell in record.worst_first[1:]] == ["", ""], "it is not here"
    assert not any(violations(folder).values())


@pytest.mark.parametrize(
    ("fates", "why", "is_fine"),
    [
        (FINE, "", True),
        ((Fate.SURVIVED, Fate.UNKNOWN, Fate.SENT_AGAIN), "", True),
        ((Fate.SURVIVED, Fate.LOST, Fate.SURVIVED), "", False),
        ((Fate.UNKNOWN, Fate.UNKNOWN, Fate.UNKNOWN), "", False),
        (FINE[:2], TIME_IS_UP, True),
        (FINE[:2], "it was stopped", False),
        ((), TIME_IS_UP, False),
    ],
)
def test_a_probe_is_fine_as_on_one_machine(
    fates: Sequence[Fate], why: str, is_fine: bool, tmp_path: Path
) -> None:
    assert probed(tmp_path, fates, why)[0].is_fine is is_fine


def test_only_a_probe_that_ended_whole_may_leave_points_unknown(tmp_path: Path) -> None:
    made = Points(tmp_path, SOME, PROBE)
    report, whole = PointsReport((), is_fine=True), read_campaign(made.store)
    ended = Ended(campaign_id="campaign-1", began_at=NOW, ended_at=NOW)
    asked = whole.campaign.model_copy(update={"work": EXPLORE})

    assert report.excuses(replace(whole, ended=ended, gaps=[]))
    assert not report.excuses(replace(whole, ended=None, gaps=[]))
    assert not report.excuses(replace(whole, ended=ended, gaps=[Gap(problem="one is missing")]))
    assert not report.excuses(replace(whole, ended=ended, gaps=[], campaign=asked))
    assert not PointsReport((), is_fine=False).excuses(replace(whole, ended=ended, gaps=[]))


def test_a_cell_may_name_no_folder_but_its_own(tmp_path: Path) -> None:
    made = Points(tmp_path, SOME, PROBE)
    case = next(iter(made.cases.values()))
    cell = cell_of(case, Fate.LOST).model_copy(update={"folder": "../.."})
    made.end([made.found(case, Verdict.FAILED, cell.model_dump_json(), "own")])
    made.report(tmp_path)

    assert load_probe(tmp_path).cells[0].folder == ""


Damage = Callable[[Points], None]


def no_plan(made: Points) -> None:
    (Path(made.store.address) / names.THE_PLAN).unlink()


def a_damaged_plan(made: Points) -> None:
    (Path(made.store.address) / names.THE_PLAN).write_text("{}")


@pytest.mark.parametrize("spoil", [no_plan, a_damaged_plan])
def test_without_its_plan_there_is_no_such_report(spoil: Damage, tmp_path: Path) -> None:
    made = Points(tmp_path, FEW, EXPLORE)
    spoil(made)

    assert write_points(made.store, read_campaign(made.store), tmp_path) is None


@pytest.mark.parametrize("work", [Seeds(), PROBE])
def test_a_plan_of_other_work_is_none(work: Work, tmp_path: Path) -> None:
    made = Made(tmp_path / "store", work=work)
    made.store.create(names.THE_PLAN, FEW.model_dump_json().encode())

    assert write_points(made.store, read_campaign(made.store), tmp_path) is None
