"""Many workflows at once on one worker: all complete, and none gets what is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chaos.environment.temporal import SHARED_SERVER
from chaos.experiment.lab import Options
from chaos.experiment.scenario import Scenario
from tests.chaos.video import specs
from tests.chaos.video.case import video_case
from tests.chaos.video.invariants.proofs import all_were_open_at_once
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec


def load(options: Options) -> Sequence[VideoSpec]:
    """As many singles as the user wants."""
    return [specs.single(f"load-{n:03}") for n in range(1, options.workflows + 1)]


async def experiment(lab: VideoLab) -> None:
    """All workflows are open before the worker comes, so they are at it at the same time."""
    await asyncio.gather(*(lab.start(spec) for spec in load(lab.options)))
    lab.note(f"{lab.options.workflows} workflows are open")
    await lab.worker()


SCENARIO = Scenario(
    name="concurrency",
    title="Concurrency",
    cases=(
        video_case(
            name="one_worker",
            experiment=experiment,
            load=load,
            proofs=(all_were_open_at_once(),),
            undisturbed=True,
            converge_deadline_seconds=600.0,
            stack=SHARED_SERVER,
        ),
    ),
)
