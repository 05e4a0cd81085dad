"""One character and one video of it."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.models import Progress, SingleVideoInput
    from workflows.operation import VideoOperation


@workflow.defn
class SingleVideo(VideoOperation):
    """Checkpoints: started, character_generated, video_generated, complete."""

    @workflow.init
    def __init__(self, config: SingleVideoInput) -> None:  # noqa: ARG002 - as `run` has it
        super().__init__(videos=1)

    @workflow.run
    async def run(self, config: SingleVideoInput) -> Progress:
        """Make the character, then the video. Fails with what was made in its details."""
        await self._open(config.character_prompt, [config.video_prompt])
        await self._make_character(config.character_prompt)
        await self._make_video(1, config.video_prompt, "video_generated")
        return self._complete("complete")
