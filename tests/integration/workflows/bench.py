"""A running stack as these tests see it: one workflow at a time, by what the witnesses say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import WorkflowHandle

from chaos.evidence.histories import save_histories
from chaos.evidence.history import Workflow
from chaos.evidence.spec import save_specs
from chaos.process.waiting import wait_until
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Billed, Call, Received
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO
from workflows.models import Choice, Decision, Progress, Stage, video_step
from workflows.payments.journal import PaymentJournal
from workflows.policies import JOURNAL_GRACE_SECONDS, TASK_QUEUE

DEADLINE_SECONDS = 30.0


@dataclass(frozen=True)
class Bench:
    """The lab, and the folder where its evidence is put."""

    lab: VideoLab
    folder: Path

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def journal(self) -> closing[PaymentJournal]:
        """The workers' payment journal, for a `with` block."""
        url = self.lab.payment_journal_url
        return closing(PaymentJournal.open(url, grace_seconds=JOURNAL_GRACE_SECONDS))

    def handle(self, spec: VideoSpec) -> WorkflowHandle[object, object]:
        return self.lab.client.get_workflow_handle(spec.workflow_id)

    async def progress(self, spec: VideoSpec) -> Progress:
        """What the workflow's query answers now."""
        answer: Progress = await self.handle(spec).query("progress", result_type=Progress)
        return answer

    async def until(
        self, spec: VideoSpec, condition: Callable[[Progress], bool], what: str
    ) -> Progress:
        """Wait until the query answers so; the answer."""
        answers: list[Progress] = []

        async def holds() -> bool:
            answers.append(await self.progress(spec))
            return condition(answers[-1])

        await wait_until(holds, what=what, deadline_seconds=DEADLINE_SECONDS)
        return answers[-1]

    async def ended(
        self, spec: VideoSpec, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Workflow:
        """Wait until it has ended, however; its history."""
        await wait_until(
            lambda: self.lab.has_ended(spec.workflow_id),
            what=f"{spec.workflow_id} ends",
            deadline_seconds=deadline_seconds,
        )
        return await self.workflow(spec)

    async def run(self, spec: VideoSpec, *, task_queue: str = TASK_QUEUE) -> Workflow:
        """Start it, also once more after it has ended, and wait for its end; its history."""
        await self.lab.start(spec, task_queue=task_queue)
        return await self.ended(spec)

    async def workflow(self, spec: VideoSpec) -> Workflow:
        """All that the server recorded of it so far."""
        await save_histories(self.lab.client, self.folder, [spec.workflow_id])
        await save_specs(self.folder, self.lab.specs, VIDEO.data_converter)
        return VideoEvidence.load(self.folder, VIDEO.reading).workflows[spec.workflow_id]

    async def set_breakpoint(self, target: BreakAt, prompt: str) -> Breakpoint:
        """Stop the next request, or rendering, of a prompt."""
        return await self.lab.api.set_breakpoint(BreakpointSpec(call=target, match=prompt))

    async def billed(self, spec: VideoSpec) -> Sequence[str]:
        """The prompts that the provider billed for it, in order."""
        records = await self.lab.api.records()
        bills = [record for record in records if isinstance(record, Billed)]
        return [bill.prompt for bill in bills if bill.prompt in spec.prompts]

    async def calls(self) -> Sequence[Call]:
        """All requests that reached the provider, whosever and free ones too, in order."""
        records = await self.lab.api.records()
        return [record.call for record in records if isinstance(record, Received)]

    async def provider_operation(self, prompt: str) -> str:
        """The provider's name of the newest video that it billed for a prompt."""
        records = await self.lab.api.records()
        bills = [r for r in records if isinstance(r, Billed) and r.prompt == prompt]
        name = bills[-1].operation
        assert name
        return name

    async def requested(self, spec: VideoSpec) -> Sequence[tuple[Call, str]]:
        """The paid requests that reached the provider for it, in order."""
        records = await self.lab.api.records()
        received = [record for record in records if isinstance(record, Received)]
        return [(r.call, r.prompt) for r in received if r.prompt and r.prompt in spec.prompts]


def checkpoints(progress: Progress) -> Sequence[str]:
    """The names of the checkpoints passed."""
    return [point.name for point in progress.checkpoints]


def steps(workflow: Workflow) -> Sequence[str]:
    """The activities that were scheduled, in order."""
    return [activity.kind for activity in workflow.activities]


def final(workflow: Workflow) -> Progress:
    """The progress that a workflow returned, or that its failure carries."""
    result = workflow.result(Progress)
    assert result is not None
    return result


async def until_undecided(bench: Bench, spec: VideoSpec) -> Progress:
    """Wait until it asks what to do; what it tells."""
    return await bench.until(
        spec, lambda progress: progress.stage is Stage.UNDECIDED, what="it asks what to do"
    )


async def decide(
    bench: Bench,
    spec: VideoSpec,
    choice: Choice,
    *,
    step: str = video_step(1),
    name: str | None = None,
) -> None:
    """Decide what becomes of the open call of a step."""
    decision = Decision(step=step, choice=choice, provider_operation=name)
    await bench.handle(spec).signal("decide", decision)
