"""A supervisor whose workers are versioned fails over as one whose workers are not."""

from __future__ import annotations

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.integration.fleet.supervised import WAIT, only, supervised, was_failed_over
from tests.integration.versioning import make_current, version
from tests.integration.workflows.bench import Bench

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_work_of_a_killed_worker_goes_on_at_the_next_of_its_build(bench: Bench) -> None:
    spec = specs.single("versioned-killed")
    async with supervised(bench, 1, name="versioned", settings=version("1.0")) as only_one:
        await make_current(bench, "1.0")
        halt, pid = await only_one.awaiting(spec)
        only_one.kill(pid)
        lost = await only_one.has_lost(pid)
        await only_one.is_complete_again()
        await halt.resume()
        workflow = await bench.ended(spec)

    assert (lost.failed_over, lost.left, lost.sticky) == (1, 0, "shut")
    assert workflow.status is Status.COMPLETED
    assert was_failed_over(only(workflow, WAIT))
