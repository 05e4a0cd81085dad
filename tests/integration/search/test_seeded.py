"""Schedules carried out for real: they converge, and a planted bug is found, replayed, shrunk."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.environment.provision import Choice
from chaos.experiment.lab import Options
from chaos.experiment.results import CaseResult
from chaos.experiment.runner import Runner
from chaos.faults import Family, KillWorker
from chaos.invariants.verdict import Verdict
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import FILE, Planned, Schedule
from chaos.search.seeded import seeded, seeded_of
from chaos.search.shrink import Means, shrink
from tests.chaos.video.target import VIDEO
from tests.integration.fleet.supervised import is_there
from tests.schemas import violations

PROJECT = Path(__file__).parents[3]

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

STORM_SECONDS = 60.0
KILLS_EVERY_SECONDS = 2.0


def _sabotaged(name: str) -> Sequence[str]:
    return (sys.executable, "-m", "tests.integration.search.sabotage", name)


def _run(schedule: Schedule, reports: Path, worker_argv: Sequence[str]) -> CaseResult:
    return _cases(
        Runner(
            chosen=(seeded([schedule], VIDEO),),
            choice=Choice(),
            options=Options(),
            reports=reports,
            worker_argv=worker_argv,
        )
    )


def _cases(runner: Runner) -> CaseResult:
    try:
        runner.start()
        (case,) = runner.result(runner.scenarios[0]).cases
    finally:
        runner.stop()
    return case


def _failed(case: CaseResult) -> set[str]:
    return {check.check for check in case.checks if check.verdict is Verdict.FAILED}


def _kills(at_seconds: Sequence[float]) -> Sequence[Planned]:
    """A kill of each worker in turn at these times."""
    return [
        Planned(at_seconds=at, lasting_seconds=0, fault=KillWorker(place=place))
        for place, at in enumerate(at_seconds)
    ]


def _with_kills(at_seconds: Sequence[float]) -> Schedule:
    """A small load, kills, and a few faults beside them."""
    drawn = draw(3, Wishes(("api",), duration_seconds=10, workflows=3), VIDEO)
    faults = sorted([*_kills(at_seconds), *drawn.faults], key=lambda planned: planned.at_seconds)
    return drawn.model_copy(update={"faults": tuple(faults)})


def _storm() -> Schedule:
    """A worker of the fleet is killed every two seconds, and nothing else goes wrong."""
    drawn = draw(5, Wishes((Family.KILL,), duration_seconds=STORM_SECONDS, workflows=30), VIDEO)
    count = int(STORM_SECONDS / KILLS_EVERY_SECONDS)
    # Not to the end: on a fast machine nothing is left to be hit by then.
    kills = _kills([KILLS_EVERY_SECONDS * number for number in range(1, count - 3)])
    return drawn.model_copy(update={"faults": tuple(kills)})


@pytest.mark.sample
def test_a_schedule_of_all_families_converges_and_can_be_judged_again(tmp_path: Path) -> None:
    schedule = draw(1, Wishes(duration_seconds=12, workflows=6), VIDEO)
    command = ("-m", "pytest", "-m", "chaos", "-p", "no:cacheprovider", "tests/chaos")
    options = ("--seed", "1", "--duration", "12", "--workflows", "6", f"--reports={tmp_path}")
    ended = subprocess.run(
        [sys.executable, *command, *options],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout
    assert "OVERALL: 1/1 tests passed" in ended.stdout
    run = (tmp_path / "latest").resolve()
    assert json.loads((run / "results.json").read_text())["seed"] == 1
    (case,) = seeded_of(run, VIDEO).cases
    assert case.name == "seed_1"
    assert (run / "seeded" / "seed_1" / FILE).read_text().strip() == schedule.model_dump_json(
        by_alias=True, indent=1
    )
    again = subprocess.run(
        [sys.executable, "-m", "chaos", "recheck", str(run), "--write"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    found = violations(run)
    assert {"recheck.json", f"seeded/seed_1/{FILE}"} <= found.keys()
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("bug", "kills", "check"),
    [
        # Videos take 4 s, so at these times some are awaited.
        ("loses_a_checkpoint", (3.0, 3.0, 3.0), "checkpoints_are_complete_and_in_order"),
        # Images take 0.5 s, and the first workflow asks for its own at once.
        ("pays_again", (0.4, 0.4, 0.4), "billed_once_unless_in_doubt"),
    ],
)
def test_a_planted_bug_is_found_replayed_and_shrunk(
    bug: str, kills: Sequence[float], check: str, tmp_path: Path
) -> None:
    schedule = _with_kills(kills)
    argv = _sabotaged(bug)

    assert check in _failed(_run(schedule, tmp_path, argv))

    run = (tmp_path / "latest").resolve()
    replayed = Runner(
        chosen=(seeded_of(run, VIDEO),),
        choice=Choice(),
        options=Options(),
        reports=tmp_path / "replay",
        worker_argv=argv,
    )
    assert check in _failed(_cases(replayed))

    found = shrink(run, Means(target=VIDEO, most_runs=15, say=lambda _: None, worker_argv=argv))
    assert 1 <= len(found.after.faults) < len(schedule.faults)
    assert found.file.exists()
    # Which worker has the step in flight is chance, so a kill of one may miss it.
    runs = (_run(found.after, tmp_path / f"shrunk-{n}", argv) for n in range(4))
    assert any(check in _failed(run) for run in runs)


def test_a_fleet_that_loses_a_worker_every_two_seconds_loses_no_work(tmp_path: Path) -> None:
    schedule = _storm()
    case = _run(schedule, tmp_path, ())

    assert case.verdict is Verdict.PASSED, case.reason
    log = (tmp_path / "latest" / "seeded" / schedule.name / "logs" / "fleet-1.log").read_text()
    lost = re.findall(r"is lost \(SIGKILL\): failed_over=(\d+)", log)
    assert log.count("is lost (SIGKILL)") == len(schedule.faults) > 20
    assert sum(map(int, lost)) > 0
    started = [int(pid) for pid in re.findall(r"started \(pid (\d+)\)", log)]
    assert not [pid for pid in started if is_there(pid)]
