"""A worker that sleeps at a boundary until another has done its work must not pay when it wakes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.evidence.journal import Event
from chaos.invariants import Invariant
from chaos.invariants.attempts import attempts_are_as_expected
from tests.chaos.video.case import COMMON
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.integration.conftest import BenchIn
from tests.integration.money.boundaries import NOT_YET_SENT, Point, points
from tests.integration.money.sweep import Row, Sweep, freeze, publish, rows, table, thaw
from workflows.policies import HEARTBEAT_TIMEOUT

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

POINTS = points(videos=2)
"""Each boundary of the first step, of a step between, and of the last one."""

HOLDS = [check for check in COMMON if check is not attempts_are_as_expected]
PAID = {Call.IMAGE, Call.VIDEO_START}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evidence(
    chosen: Sequence[Point], bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> VideoEvidence:
    async with bench_in(tmp_path_factory.mktemp("zombies"), StackSpec(persistent=False)) as bench:
        return await Sweep(freeze, thaw).run(bench, chosen)


@pytest.fixture(scope="module")
def found(evidence: VideoEvidence, chosen: Sequence[Point]) -> Mapping[Point, Row]:
    found = rows(evidence, chosen)
    publish(table(found), "zombie-sweep.md")
    return {row.point: row for row in found}


@pytest.mark.sample(of_each_day=3)
@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.workflow_id)
async def test_a_worker_that_slept_there_pays_for_nothing(
    point: Point, found: Mapping[Point, Row]
) -> None:
    row = found[point]

    assert row.status is Status.COMPLETED
    # What it sent before it slept may have been billed beside its successor's; never more.
    assert row.in_doubt <= (point.in_window and point.boundary not in NOT_YET_SENT)
    if row.in_doubt == 0:
        assert row.billed_usd == row.ideal_usd


async def test_no_paid_request_comes_from_a_worker_that_woke_up(
    evidence: VideoEvidence, chosen: Sequence[Point]
) -> None:
    wakes = [e.at for e in evidence.journal if e.event is Event.HEALED]
    assert len(wakes) == len(chosen)
    owners = {prompt: plan.workflow_id for plan in evidence.specs for prompt in plan.prompts}
    ends = {w.workflow_id: w.closed_at for w in evidence.workflows.values()}
    late = [
        request
        for request in evidence.received
        if request.call in PAID and request.at > (ends[owners[request.prompt or ""]] or request.at)
    ]

    assert late == []


async def test_each_slept_longer_than_its_heartbeat_timeout(evidence: VideoEvidence) -> None:
    slept = {e.target: e.at for e in evidence.journal if e.event is Event.FAULT}
    woke = {e.target: e.at for e in evidence.journal if e.event is Event.HEALED}

    assert min(woke[name] - at for name, at in slept.items()) > HEARTBEAT_TIMEOUT


@pytest.mark.parametrize("check", HOLDS, ids=lambda check: check.name)
async def test_every_invariant_holds_over_all_of_them(
    check: Invariant, evidence: VideoEvidence
) -> None:
    finding = await asyncio.to_thread(check.examine, evidence)
    assert finding.problems == ()
