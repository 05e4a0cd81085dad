"""The Temporal server is away while a paid reply arrives: it is kept, and paid for once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.evidence import save_paid_calls
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.rules import When
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench, final
from workflows.models import CHARACTER, video_step
from workflows.payments.calls import State

pytestmark = pytest.mark.timeout(120)


async def outcome_recorded(bench: Bench, operation_id: str, step: str) -> None:
    """Wait until the workers' journal has the outcome."""
    with bench.journal() as journal:
        await wait_until(
            lambda: journal.outcome(operation_id, step) is not None,
            what=f"the outcome of {step} is on record",
            deadline_seconds=20,
        )


@pytest.mark.parametrize(
    ("target", "step"),
    [(BreakAt.IMAGE, CHARACTER), (BreakAt.VIDEO_START, video_step(1))],
    ids=["image", "video"],
)
async def test_a_reply_that_comes_during_an_outage_is_paid_for_once(
    target: BreakAt, step: str, bench_in: BenchIn, tmp_path: Path
) -> None:
    spec = specs.single(f"outage-{step}")
    async with bench_in(tmp_path, StackSpec()) as bench:
        server = bench.lab.stack.server
        halt = await bench.lab.api.set_breakpoint(
            BreakpointSpec(call=target, when=When.AFTER_BILLING)
        )
        await bench.lab.worker()
        await bench.lab.start(spec)
        await halt.reached(deadline_seconds=20)
        await bench.lab.signal(server.child, signal.SIGKILL)
        await halt.resume()
        await outcome_recorded(bench, spec.workflow_id, step)
        await server.start()
        workflow = await bench.ended(spec)
        save_paid_calls(bench.lab.payment_journal_url, bench.folder, [spec.workflow_id])
        billed = await bench.billed(spec)

    assert workflow.status is Status.COMPLETED
    assert billed == list(spec.prompts)
    assert final(workflow).possible_waste_usd == 0
    assert State.DONE.value in (bench.folder / "paid_calls.json").read_text()
