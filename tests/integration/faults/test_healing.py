"""Whatever becomes of an experiment, its faults are healed before its evidence is taken."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from chaos.environment.wire import SERVER, link_name
from chaos.evidence.journal import Event
from chaos.experiment.lab import Lab, Options
from chaos.experiment.results import CaseResult
from chaos.experiment.run import RunContext, run_case
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import BadNetwork, ServerPaused
from chaos.faults.base import Fault
from chaos.invariants.verdict import Verdict
from chaos.network.journal import read_links
from chaos.network.toxics import BlackHole, Stream
from chaos.process.reaper import Reaper
from chaos.process.spawner import Spawner
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON
from tests.chaos.video.target import VIDEO

LINK = link_name("worker-1", SERVER)
HOLE = BadNetwork(link=LINK, toxic=BlackHole(stream=Stream.BOTH))
ASKED = specs.single("healed-single")

pytestmark = pytest.mark.timeout(120)


class Clumsy(Fault):
    """Breaks while it is injected, or while it is healed."""

    type: str = "clumsy"
    heals: bool

    @property
    def kind(self) -> str:
        return "clumsy"

    @property
    def target(self) -> str:
        return "nobody"

    async def inject(self, lab: Lab) -> None:
        del lab
        if self.heals:
            raise RuntimeError("broke while it was injected")

    async def heal(self, lab: Lab) -> None:
        del lab
        if not self.heals:
            raise RuntimeError("broke while it was healed")


async def _breaks_within_faults(lab: Lab) -> None:
    await lab.worker(links=(SERVER,))
    await lab.start(ASKED)
    await lab.begin(HOLE)
    await lab.begin(ServerPaused())
    assert psutil.Process(lab.stack.server.child.pid).status() == psutil.STATUS_STOPPED
    await lab.begin(Clumsy(heals=True))


async def _cannot_heal_one(lab: Lab) -> None:
    await lab.worker(links=(SERVER,))
    await lab.start(ASKED)
    await lab.begin(HOLE)
    await lab.begin(Clumsy(heals=False))
    await lab.begin(ServerPaused())


async def _judged(
    experiment: object, reaper: Reaper, spawner: Spawner, cli: Path, folder: Path
) -> CaseResult:
    case = Case(
        name="only",
        experiment=experiment,  # type: ignore[arg-type] # an experiment; named so for brevity
        proofs=(),
        target=VIDEO,
        load=lambda _: (ASKED,),
        invariants=COMMON,
    )
    context = RunContext(
        run_tag=reaper.run_tag,
        scratch=reaper.folder / folder.name,
        folder=folder,
        temporal_cli=cli,
        options=Options(),
        emit=lambda *_: None,
        spawner=spawner,
    )
    return await run_case(Scenario("healing", "Healing", (case,)), case, context)


async def test_an_exception_inside_a_fault_leaves_every_fault_healed(
    reaper: Reaper, spawner: Spawner, temporal_cli: Path, tmp_path: Path
) -> None:
    result = await _judged(_breaks_within_faults, reaper, spawner, temporal_cli, tmp_path)
    evidence = VIDEO.load_evidence(tmp_path / "healing" / "only")

    assert result.verdict is Verdict.UNKNOWN
    assert "broke while it was injected" in result.reason
    healed = {e.target for e in evidence.journal if e.event is Event.HEALED}
    assert healed == {LINK, "temporal-server", "nobody"}
    # A server that still slept could not have told its histories.
    assert set(evidence.workflows) == {ASKED.workflow_id}
    assert [record.event for record in read_links(evidence.folder)[LINK]].count("taken_off") == 1


async def test_a_fault_that_cannot_be_healed_keeps_no_other_from_it(
    reaper: Reaper, spawner: Spawner, temporal_cli: Path, tmp_path: Path
) -> None:
    result = await _judged(_cannot_heal_one, reaper, spawner, temporal_cli, tmp_path)
    evidence = VIDEO.load_evidence(tmp_path / "healing" / "only")

    assert result.verdict is Verdict.UNKNOWN
    assert "nobody could not be healed" in result.reason
    healed = {e.target for e in evidence.journal if e.event is Event.HEALED}
    assert healed == {LINK, "temporal-server"}
    assert set(evidence.workflows) == {ASKED.workflow_id}
