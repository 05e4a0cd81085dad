"""The workflows of `workflows.videos` as a worker runs them under Worker Versioning.

Classes of their own: the server refuses a workflow task that says how its workflow is versioned
where its worker is not, so that cannot stand at the workflows themselves.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows import policies, videos
    from workflows.models import Progress


@workflow.defn(versioning_behavior=policies.SINGLE_VIDEO_VERSIONING)
class SingleVideo(videos.SingleVideo):
    """Ends on the build that began it, unless an operator moves it."""

    @workflow.init
    def __init__(self, *given: object) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: object) -> Progress:
        """As its base does."""
        return await super().run(*given)


@workflow.defn(versioning_behavior=policies.SERIES_VIDEO_VERSIONING)
class SeriesVideo(videos.SeriesVideo):
    """Goes on under the current build, from its next workflow task on."""

    @workflow.init
    def __init__(self, *given: object) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: object) -> Progress:
        """As its base does."""
        return await super().run(*given)


WORKFLOWS = (SingleVideo, SeriesVideo)
