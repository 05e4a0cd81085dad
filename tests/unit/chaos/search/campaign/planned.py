"""What the tests of campaigns of points share: a plan of each kind, from recorded runs."""

from __future__ import annotations

from pathlib import Path

from chaos.environment.target import Target
from chaos.search.campaign.plans import PlannedExplore, PlannedProbe
from chaos.search.crash.points import crash_points
from chaos.search.probe.attempts import Normal
from chaos.search.probe.measured import Measured
from chaos.search.probe.observed import observe
from chaos.search.probe.plan import Choice
from chaos.wire.journal import read_wire
from tests.unit.chaos.search.explore.kept import PLAN

EVIDENCE = Path(__file__).parents[1] / "probe" / "evidence"
ORDERS = Target(worker=("worker",), task_queue="orders")


def _normal(number: int) -> Normal:
    folder = EVIDENCE / f"undisturbed-{number}"
    wire = read_wire(folder)
    return Normal(observe(ORDERS.load_evidence(folder), wire), crash_points(wire, folder.name))


UNDISTURBED = _normal(1)
MEASURED = Measured.of([UNDISTURBED, _normal(2)], Choice())
EXPLORED = PlannedExplore(plan=PLAN)
PROBED = PlannedProbe(plan=MEASURED)
