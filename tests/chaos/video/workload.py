"""The load: single videos, series and what others bring, and what they should come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from chaos.evidence.case import Expectation
from workflows.models import SeriesVideoInput, SingleVideoInput
from workflows.policies import MAX_CONCURRENT_ACTIVITIES

SLOTS = MAX_CONCURRENT_ACTIVITIES
"""Activities that one worker does at once."""


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


@dataclass(frozen=True)
class Place:
    """Where a workflow is started: its id there may be longer than the one it is known by here."""

    workflow_id: str
    task_queue: str
    execution_timeout: timedelta | None = None


Starter = Callable[[Client, Expectation, Place], Awaitable[str]]
"""Starts a workflow; the id of its run."""


async def start(client: Client, asked: Expectation, place: Place) -> str:
    """Start it with what was asked for."""
    handle = await client.start_workflow(
        asked.workflow_type,
        args=_arguments(asked),
        id=place.workflow_id,
        task_queue=place.task_queue,
        execution_timeout=place.execution_timeout,
    )
    return handle.first_execution_run_id or ""


def _arguments(asked: Expectation) -> list[Any]:
    if asked.workflow_type == "SingleVideo":
        prompt = asked.video_prompts[0]
        return [SingleVideoInput(character_prompt=asked.character_prompt, video_prompt=prompt)]
    if asked.workflow_type == "SeriesVideo":
        prompts = asked.video_prompts
        return [SeriesVideoInput(character_prompt=asked.character_prompt, video_prompts=prompts)]
    return list(asked.arguments)
