"""Run cases whose workers, or whose experiment, are broken on purpose, and look who sees it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.headroom import Meter, Strain
from chaos.experiment.admission import Admission
from chaos.experiment.lab import Options
from chaos.experiment.results import CaseResult
from chaos.experiment.run import RunContext, run_case
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants.verdict import Verdict
from chaos.process.child import spawning
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import PROJECT, VIDEO

SABOTAGE = "tests.integration.breaks.sabotage"
SIDE_BY_SIDE = 10

Run = tuple[str, int]


@dataclass(frozen=True)
class Break:
    """What is broken in which case, and which check has to see it.

    Its name is that of a function which plants the fault in a real worker (`sabotage.PLANTS`);
    without `sabotage` the workers are as they are, and the case itself differs.
    """

    name: str
    case: Case
    check: str
    verdict: Verdict = Verdict.FAILED
    sabotage: bool = True

    @property
    def what_runs(self) -> Run:
        """The same for breaks that only look at another check of the same run."""
        return self.name, id(self.case)


Results = Mapping[Run, CaseResult]


class Unmeasured(Meter):
    """No busy machine excuses anything: these make it busy themselves, and each is to be seen."""

    @contextmanager
    def watched(self, tell: Callable[[Strain], None]) -> Iterator[None]:
        """Nobody is told."""
        del tell
        yield


async def run_all(breaks: Sequence[Break], folder: Path) -> Results:
    """Every broken case, run once for all checks that look at it."""
    admission = Admission(Unmeasured(), stacks=SIDE_BY_SIDE)
    home = Scenario(name="breaks", title="Breaks", cases=())
    distinct = {broken.what_runs: broken for broken in breaks}

    with Reaper() as reaper, spawning(reaper, VIDEO.preload, PROJECT) as spawner:
        cli = find_temporal_cli(None, announce=print, environment=reaper.environment)

        async def run(number: int, broken: Break) -> CaseResult:
            argv = (sys.executable, "-m", SABOTAGE, broken.name)
            context = RunContext(
                run_tag=reaper.run_tag,
                scratch=reaper.folder / str(number),
                folder=folder / str(number),
                temporal_cli=cli.path,
                options=Options(workflows=2),
                emit=lambda *_: None,
                worker_argv=argv if broken.sabotage else VIDEO.worker,
                admission=admission,
                spawner=spawner,
            )
            return await run_case(home, broken.case, context)

        found = await asyncio.gather(*(run(n, b) for n, b in enumerate(distinct.values())))
        return dict(zip(distinct, found, strict=True))


def case_of(scenario: str, case: str) -> Case:
    """A case by its names."""
    (found,) = (
        each for s in all_scenarios() if s.name == scenario for each in s.cases if each.name == case
    )
    return found
