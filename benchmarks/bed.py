"""Where a benchmark runs: a stack of its own, whose processes end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from chaos.environment.factory import ProcessFactory
from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.evidence.histories import save_histories
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Journal
from chaos.evidence.spec import save_specs
from chaos.experiment.lab import Options
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO

DEADLINE_SECONDS = 300.0


@dataclass(frozen=True)
class Bed:
    """`folder` is temporary; all processes carry the run's `run_tag`."""

    folder: Path
    run_tag: str
    temporal_cli: Path

    @asynccontextmanager
    async def lab(self, name: str) -> AsyncIterator[VideoLab]:
        """A stack without workers: a dev server on a file, and the fake API."""
        scratch, evidence = self.folder / name / "scratch", self.folder / name / "evidence"
        scratch.mkdir(parents=True)
        journal = Journal(evidence / "journal.jsonl", lambda _: None)
        try:
            config = StackConfig(self.run_tag, scratch, evidence, self.temporal_cli, name=name)
            async with Stack(StackSpec(persistent=True), VIDEO, config, journal) as stack:
                lab = VideoLab(stack, journal, Options())
                try:
                    yield lab
                finally:
                    await lab.close()
        finally:
            journal.close()

    def processes(self, lab: VideoLab) -> ProcessFactory:
        """Makes further processes of a lab's stack."""
        scratch = lab.stack.evidence_folder.parent / "scratch"
        logs = lab.stack.evidence_folder / "logs"
        return ProcessFactory(self.run_tag, scratch, logs, lab.journal)


async def awaiting(lab: VideoLab, name: str, task_queue: str = "") -> tuple[VideoSpec, Breakpoint]:
    """Start a workflow and bring it to where it awaits its video: the API keeps it."""
    spec = specs.single(name)
    scene = spec.video_prompts[0]
    at_video = await lab.api.set_breakpoint(BreakpointSpec(call=BreakAt.VIDEO, match=scene))
    await lab.start(spec, task_queue=task_queue or lab.stack.task_queue)
    await at_video.reached(DEADLINE_SECONDS)
    await lab.until_polled(scene)
    return spec, at_video


async def completed(lab: VideoLab, some: Sequence[VideoSpec]) -> Sequence[Workflow]:
    """Wait for the end of these, and read their histories. Raises RuntimeError where one has not
    completed.
    """
    for spec in some:  # one by one: each question costs the server some of its time
        await wait_until(
            partial(lab.has_ended, spec.workflow_id),
            what=f"{spec.workflow_id} ends",
            deadline_seconds=DEADLINE_SECONDS,
            interval_seconds=0.1,
        )
    folder = lab.stack.evidence_folder / some[0].workflow_id
    folder.mkdir()
    await save_histories(lab.client, folder, [spec.workflow_id for spec in some])
    await save_specs(folder, some, VIDEO.data_converter)
    workflows = list(VideoEvidence.load(folder, VIDEO.reading).workflows.values())
    for workflow in workflows:
        closed_at(workflow)
    return workflows


def closed_at(workflow: Workflow) -> datetime:
    """When it completed. Raises RuntimeError where it has not."""
    if workflow.closed_at is None or workflow.status != "completed":
        raise RuntimeError(f"{workflow.workflow_id} is {workflow.status}, not completed.")
    return workflow.closed_at
