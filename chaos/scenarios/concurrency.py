"""Many workflows at once on one worker: all complete, and none gets what is another's."""

from __future__ import annotations

import asyncio

from chaos import workload
from chaos.invariants.proofs import all_were_open_at_once
from chaos.lab import Lab
from chaos.scenarios import Case, Scenario


async def experiment(lab: Lab) -> None:
    """All workflows are open before the worker comes, so they are at it at the same time."""
    numbers = range(1, lab.options.workflows + 1)
    await asyncio.gather(*(lab.start(workload.single(f"load-{n:03}")) for n in numbers))
    lab.note(f"{lab.options.workflows} workflows are open")
    await lab.worker()


SCENARIO = Scenario(
    number=5,
    name="concurrency",
    title="Concurrency",
    cases=(
        Case(
            name="one_worker",
            experiment=experiment,
            proofs=(all_were_open_at_once(),),
            converge_deadline_seconds=600.0,
        ),
    ),
)
