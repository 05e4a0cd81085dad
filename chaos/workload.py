"""The load of the suite's own scenarios: single videos and series, and what they should come to."""

from __future__ import annotations

from decimal import Decimal

from temporalio.client import Client

from chaos.evidence import Expectation
from chaos.fake_api.ledger import Item
from workflows.models import SeriesVideoInput, SingleVideoInput
from workflows.policies import MAX_CONCURRENT_ACTIVITIES
from workflows.pricing import (
    REFERENCE_IMAGE_MODEL,
    REFERENCE_VIDEO_MODEL,
    image_cost_usd,
    video_cost_usd,
)

VIDEO_SECONDS = 4
SLOTS = MAX_CONCURRENT_ACTIVITIES
"""Activities that one worker does at once."""

PRICES_USD = {
    Item.IMAGE: image_cost_usd(REFERENCE_IMAGE_MODEL),
    Item.VIDEO: video_cost_usd(REFERENCE_VIDEO_MODEL, VIDEO_SECONDS),
}


def single(workflow_id: str) -> Expectation:
    """A single video that completes. Its prompts name the workflow, so a mix-up shows."""
    return Expectation(
        workflow_id=workflow_id,
        workflow_type="SingleVideo",
        character_prompt=f"a portrait of the hero of {workflow_id}",
        video_prompts=(f"the hero of {workflow_id} waves",),
        made=2,
        checkpoints=("started", "character_generated", "video_generated", "complete"),
    )


def series(workflow_id: str, videos: int) -> Expectation:
    """A series that completes."""
    numbers = range(1, videos + 1)
    return Expectation(
        workflow_id=workflow_id,
        workflow_type="SeriesVideo",
        character_prompt=f"a portrait of the hero of {workflow_id}",
        video_prompts=tuple(f"the hero of {workflow_id}, scene {n}." for n in numbers),
        made=1 + videos,
        checkpoints=(
            "started",
            "character_generated",
            *(f"video_{n}_complete" for n in numbers),
            "all_complete",
        ),
    )


def ideal_cost_usd(expected: Expectation) -> Decimal:
    """What an undisturbed run of it costs."""
    return sum(
        (PRICES_USD[item] * count for (item, _), count in expected.ideal.items()), Decimal(0)
    )


async def start(client: Client, asked: Expectation, task_queue: str) -> None:
    """Start the workflow."""
    argument: SingleVideoInput | SeriesVideoInput
    if asked.workflow_type == "SingleVideo":
        argument = SingleVideoInput(
            character_prompt=asked.character_prompt, video_prompt=asked.video_prompts[0]
        )
    else:
        argument = SeriesVideoInput(
            character_prompt=asked.character_prompt, video_prompts=asked.video_prompts
        )
    await client.start_workflow(
        asked.workflow_type, argument, id=asked.workflow_id, task_queue=task_queue
    )
