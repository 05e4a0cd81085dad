"""One character and a series of videos of it, in order, with a checkpoint after each."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows import policies
    from workflows.models import Progress, SeriesVideoInput
    from workflows.operation import VideoOperation


@workflow.defn
class SeriesVideo(VideoOperation):
    """Checkpoints: started, character_generated, video_1_complete … all_complete."""

    @workflow.init
    def __init__(self, config: SeriesVideoInput) -> None:
        super().__init__(videos=len(config.video_prompts), progress=config.progress)

    @workflow.run
    async def run(self, config: SeriesVideoInput) -> Progress:
        """Make the character, then each video. Fails with what was made in its details.

        A long series continues as new between two videos, before its history grows too large;
        its progress goes along, so no checkpoint is lost and none is passed twice.
        """
        if not 1 <= len(config.video_prompts) <= policies.MAX_SERIES_VIDEOS:
            raise self._fail(
                f"a series has 1 to {policies.MAX_SERIES_VIDEOS} videos, "
                f"not {len(config.video_prompts)}.",
                "InvalidInput",
            )
        if config.progress is None:
            await self._open(config.character_prompt, config.video_prompts)
        if not self._state.artifacts:
            await self._make_character(config.character_prompt)
        for number, prompt in enumerate(config.video_prompts, start=1):
            if number < len(self._state.artifacts):
                continue
            await self._continue_if_long(config)
            await self._make_video(number, prompt, f"video_{number}_complete")
        return self._complete("all_complete")

    async def _continue_if_long(self, config: SeriesVideoInput) -> None:
        if workflow.info().is_continue_as_new_suggested():
            await self._between_steps()  # a cancel must not be lost with this run
            workflow.continue_as_new(config.model_copy(update={"progress": self._state}))
