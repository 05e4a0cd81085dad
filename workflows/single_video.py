"""One character and one video of it."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.inputs import read_input
    from workflows.models import Progress, SingleVideoInput
    from workflows.operation import VideoOperation


@workflow.defn
class SingleVideo(VideoOperation):
    """Checkpoints: started, character_generated, video_generated, complete.

    Its one input is a `SingleVideoInput`; it is read here, so that a wrong one is answered.
    """

    @workflow.init
    def __init__(self, *given: object) -> None:
        self._config, objection = read_input(SingleVideoInput, given)
        super().__init__(videos=1, objection=objection)

    @workflow.run
    async def run(self, *given: object) -> Progress:  # noqa: ARG002 - as `__init__` has it
        """Make the character, then the video. Fails with what was made in its details."""
        config = self._required(self._config)
        await self._open(config.character_prompt, [config.video_prompt])
        await self._make_character(config.character_prompt)
        await self._make_video(1, config.video_prompt, "video_generated")
        return self._complete("complete")
