"""The workflows that a worker runs: one video of a character, or a series of them.

A new workflow is one class and one entry of `WORKFLOWS`.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.inputs import read_input
    from workflows.models import Progress, SeriesVideoInput, SingleVideoInput
    from workflows.operation import VideoOperation


@workflow.defn
class SingleVideo(VideoOperation):
    """One character and one video of it.

    Checkpoints: started, character_generated, video_generated, complete.

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


@workflow.defn
class SeriesVideo(VideoOperation):
    """One character and a video of it for each prompt, in order.

    Checkpoints: started, character_generated, video_1_complete … all_complete.

    Its one input is a `SeriesVideoInput`; it is read here, so that a wrong one is answered.
    """

    @workflow.init
    def __init__(self, *given: object) -> None:
        self._config, objection = read_input(SeriesVideoInput, given)
        config = self._config
        super().__init__(
            videos=len(config.video_prompts) if config else 0,
            objection=objection,
            progress=config.progress if config else None,
        )

    @workflow.run
    async def run(self, *given: object) -> Progress:  # noqa: ARG002 - as `__init__` has it
        """Make the character, then each video. Fails with what was made in its details.

        A long series continues as new between two videos, before its history grows too large;
        its progress goes along, so no checkpoint is lost and none is passed twice.
        """
        config = self._required(self._config)
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


WORKFLOWS = (SingleVideo, SeriesVideo)
