"""Faults to plant in a worker: in how it reads what the paid API answers.

Each type that is ignored here is that of what is replaced on purpose.
"""

from __future__ import annotations

import functools
from datetime import timedelta

from temporalio import activity

from workflows import (
    activities,
    api_errors,
    failures,
    gemini,
    policies,
    success_replies,
    transport,
    worker,
)
from workflows.activities import VideoActivities
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini
from workflows.models import Artifact, StartedVideo, VideoDownload, VideoStatus, video_step
from workflows.payments import journal
from workflows.payments.calls import Limits
from workflows.payments.journal import PaymentJournal
from workflows.settings import Settings, SettingsError, load_settings
from workflows.success_replies import Image
from workflows.transport import MaySend


def never_gives_up() -> None:
    """Await a video without regard to its deadline."""
    activities.longest_wait = lambda *_: policies.LONGEST_WAIT


def pays_again_after_the_deadline() -> None:
    """Forget a video that was not finished in time."""
    wait = VideoActivities.await_video

    @activity.defn(name="await_video")
    @functools.wraps(wait, updated=())  # the SDK decodes the input by the original's signature
    async def forget(self: VideoActivities, video: StartedVideo) -> VideoStatus:
        status = await wait(self, video)
        paid_journal = self.paid_calls.journal
        bought = paid_journal.outcome(video.operation_id, video_step(video.number))
        if not status.uri and bought:
            paid_journal.refuse(bought, "forgotten")
        return status

    VideoActivities.await_video = forget  # type: ignore[method-assign]


def ignores_every_wish() -> None:
    """Retry when the policy says so, whatever the provider asks for."""
    activities._delay_at_least = lambda _: None  # type: ignore[assignment]


def obeys_every_wish() -> None:
    """Retry when the provider says so, even before the policy does."""

    def obey(wish_seconds: float | None) -> timedelta | None:
        return None if wish_seconds is None else timedelta(seconds=wish_seconds)

    activities._delay_at_least = obey


def trusts_in_what_it_does_not_know() -> None:
    """Take a call whose reply was lost for one that was not billed."""
    _reads_outcomes_otherwise({Outcome.IN_DOUBT: Outcome.RETRYABLE})


def tries_the_hopeless_again() -> None:
    """Retry what another try does not change."""
    _reads_outcomes_otherwise({Outcome.PERMANENT: Outcome.RETRYABLE})


def _reads_outcomes_otherwise(instead: dict[Outcome, Outcome]) -> None:
    init = ApiError.__init__

    def otherwise(
        self: ApiError,
        code: str,
        message: str,
        outcome: Outcome,
        retry_after_seconds: float | None = None,
    ) -> None:
        init(self, code, message, instead.get(outcome, outcome), retry_after_seconds)

    ApiError.__init__ = otherwise  # type: ignore[method-assign]


def keeps_what_was_never_delivered() -> None:
    """Take a video that the provider failed to make for one that was bought."""
    PaymentJournal.refund = lambda *_: None  # type: ignore[method-assign]


def fails_by_an_outage() -> None:
    """End an operation whose attempts are used up, whatever used them up."""
    failures.OUTAGES = frozenset()  # type: ignore[attr-defined]


def sends_the_key_along() -> None:
    """Follow a redirect to another host with all that was meant for the first."""
    transport.KEY_HEADER = "x-no-such-header"


def keeps_the_draft() -> None:
    """Take the first image of a reply, whatever it is."""
    success_replies._final_image = lambda parts: next(
        filter(None, map(success_replies._image_in, parts)), None
    )


def buys_again_unasked() -> None:
    """Pay for a step again after a loss that nobody has decided on."""
    Limits.allow = lambda *_: True  # type: ignore[method-assign]


def hides_the_key_s_name() -> None:
    """Say that the key was refused, and not which setting it is."""
    classify = api_errors.classify

    def vague(*args: object) -> ApiError:
        error = classify(*args)  # type: ignore[arg-type]
        said = str(error).replace("GEMINI_API_KEY", "the key")
        return ApiError(error.code, said, error.outcome, error.retry_after_seconds)

    gemini.classify = vague  # type: ignore[assignment, attr-defined]


def forbids_to_reword() -> None:
    """Bind an id to a prompt that the provider has refused."""
    journal.was_refused = lambda _: False  # type: ignore[assignment, attr-defined]


def crashes_on_wrong_settings() -> None:
    """End with a stack trace in place of a sentence."""

    def crash() -> Settings:
        try:
            return load_settings()
        except SettingsError:
            raise RuntimeError("wrong settings") from None

    worker.load_settings = crash  # type: ignore[assignment, attr-defined]


def lets_one_failure_spoil_the_rest() -> None:
    """Once a video could not be begun, fail each download of the same worker once."""
    start, fetch = Gemini.start_video, VideoActivities.download_video
    failures: list[str] = []

    async def remember(
        self: Gemini, prompt: str, image: Image, may_send: MaySend = lambda: None
    ) -> str:
        try:
            return await start(self, prompt, image, may_send)
        except ApiError as error:
            failures.append(str(error))
            raise

    @activity.defn(name="download_video")
    @functools.wraps(fetch, updated=())  # the SDK decodes the input by the original's signature
    async def spoil(self: VideoActivities, video: VideoDownload) -> Artifact:
        if failures and activity.info().attempt == 1:
            raise RuntimeError(failures[0])
        return await fetch(self, video)

    Gemini.start_video = remember  # type: ignore[method-assign]
    VideoActivities.download_video = spoil  # type: ignore[method-assign]
