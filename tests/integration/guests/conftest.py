"""Runs one case of a guest as a run does: experiment, evidence, verdict."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from chaos.environment.stack import Stack, StackConfig
from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
from chaos.experiment.results import CaseResult
from chaos.experiment.run import RunContext, run_case
from chaos.experiment.scenario import COMMON, Case, Scenario
from chaos.invariants import Invariant
from chaos.process.reaper import Reaper

GUESTS = Path(__file__).parents[2] / "data" / "guests"


class GuestRun:
    """A run of cases in a folder; `evidence` is the last one's."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.evidence: Evidence

    async def judged(  # noqa: PLR0913 - each is named by its caller
        self,
        target: Target,
        spec: WorkflowSpec,
        experiment: Callable[[Lab], Awaitable[None]],
        *,
        name: str = "killed",
        proofs: Sequence[Invariant] = (),
        invariants: Sequence[Invariant] = (),
    ) -> CaseResult:
        case = Case(
            name=name,
            target=target,
            experiment=experiment,
            proofs=proofs,
            load=lambda _: [spec],
            invariants=(*COMMON, *invariants),
            stack=StackSpec(persistent=False),
            undisturbed=not proofs,
            converge_deadline_seconds=40,
        )
        result = await run_case(Scenario("guest", "A guest", [case]), case, self.context)
        self.evidence = target.load_evidence(self.context.folder / "guest" / name)
        return result


@pytest.fixture
def guest_run(reaper: Reaper, temporal_cli: Path, tmp_path: Path) -> GuestRun:
    for name in ("scratch", "run"):
        (tmp_path / name).mkdir()
    return GuestRun(
        RunContext(
            run_tag=reaper.run_tag,
            scratch=tmp_path / "scratch",
            folder=tmp_path / "run",
            temporal_cli=temporal_cli,
            options=Options(),
            emit=lambda _: None,
        )
    )


StackOf = Callable[..., AbstractAsyncContextManager[Stack]]


@pytest.fixture
def stack_of(reaper: Reaper, temporal_cli: Path, tmp_path: Path) -> StackOf:
    """Makes a stack of a target; what it leaves behind is in the test's folder, or in one below."""

    @asynccontextmanager
    async def make(
        target: Target,
        *,
        below: str = "",
        project: Path | None = None,
        wire: bool = False,
    ) -> AsyncIterator[Stack]:
        folder = tmp_path / below
        (folder / "scratch").mkdir(parents=True)
        journal = Journal(folder / "journal.jsonl", lambda _: None)
        config = StackConfig(
            reaper.run_tag, folder / "scratch", folder / "evidence", temporal_cli, project=project
        )
        try:
            spec = StackSpec(persistent=False, wire=wire)
            async with Stack(spec, target, config, journal) as stack:
                yield stack
        finally:
            journal.close()

    return make
