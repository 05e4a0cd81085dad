"""The workflows of the next release, without and with Worker Versioning."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tests.chaos.video.versions.change import ChecksTheBudget
    from workflows import policies, videos
    from workflows.models import Progress


@workflow.defn
class SingleVideo(ChecksTheBudget, videos.SingleVideo):
    """Without Worker Versioning."""

    @workflow.init
    def __init__(self, *given: object) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: object) -> Progress:
        """As its base does."""
        return await super().run(*given)


@workflow.defn
class SeriesVideo(ChecksTheBudget, videos.SeriesVideo):
    """Without Worker Versioning."""

    @workflow.init
    def __init__(self, *given: object) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: object) -> Progress:
        """As its base does."""
        return await super().run(*given)


@workflow.defn(name="SingleVideo", versioning_behavior=policies.SINGLE_VIDEO_VERSIONING)
class VersionedSingleVideo(ChecksTheBudget, videos.SingleVideo):
    """With it."""

    @workflow.init
    def __init__(self, *given: object) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: object) -> Progress:
        """As its base does."""
        return await super().run(*given)


@workflow.defn(name="SeriesVideo", versioning_behavior=policies.SERIES_VIDEO_VERSIONING)
class VersionedSeriesVideo(ChecksTheBudget, videos.SeriesVideo):
    """With it."""

    @workflow.init
    def __init__(self, *given: object) -> None:
        super().__init__(*given)

    @workflow.run
    async def run(self, *given: object) -> Progress:
        """As its base does."""
        return await super().run(*given)


WORKFLOWS = (SingleVideo, SeriesVideo)
VERSIONED = (VersionedSingleVideo, VersionedSeriesVideo)
