"""A wrong input, on whatever way it comes, ends the workflow with a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.integration.workflows.bench import Bench, final
from workflows.models import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

BIG = "x" * 1_100_000


@pytest.mark.parametrize(
    ("name", "kind", "arguments", "reason"),
    [
        (
            "wrong-fields",
            "SingleVideo",
            [{"characterPrompt": "a fox", "videoPrompt": "it waves"}],
            "its input is wrong: character_prompt: field required; video_prompt: field required.",
        ),
        ("no-object", "SeriesVideo", ["a fox"], "its input is wrong: it: input should be a valid"),
        ("nothing", "SingleVideo", [], "it takes one input, a JSON object; it got 0."),
        ("two", "SingleVideo", [{}, {}], "it takes one input, a JSON object; it got 2."),
        *(
            (
                f"{videos}-videos",
                "SeriesVideo",
                [{"character_prompt": "a fox", "video_prompts": ["it waves"] * videos}],
                f"a series has 1 to 1000 videos, not {videos}.",
            )
            for videos in (0, 1001)
        ),
        (
            "too-long",
            "SeriesVideo",
            [{"character_prompt": "a fox", "video_prompts": [BIG]}],
            "1,000,000 is the limit.",
        ),
        (
            "too-long-single",
            "SingleVideo",
            [{"character_prompt": BIG, "video_prompt": "it waves"}],
            "1,000,000 is the limit.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
async def test_a_wrong_input_fails_the_workflow_and_asks_for_nothing(
    bench: Bench, name: str, kind: str, arguments: Sequence[object], reason: str
) -> None:
    before = await bench.calls()
    spec = specs.single(f"input-{name}")
    await bench.lab.client.start_workflow(
        kind, args=arguments, id=spec.workflow_id, task_queue=bench.lab.stack.task_queue
    )
    bench.lab.specs.append(spec)
    workflow = await bench.ended(spec)
    assert workflow.status is Status.FAILED
    assert reason in workflow.failure_message
    assert workflow.task_failures == 0
    assert await bench.calls() == before
    assert (await bench.progress(spec)) == final(workflow)
    assert final(workflow).stage is Stage.FAILED
    assert final(workflow).failure == workflow.failure_message
