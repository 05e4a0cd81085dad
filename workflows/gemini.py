"""The google-genai client with every hidden retry off, and what its errors mean.

Each method sends at most one request. Nothing of the client's own leaves this module: its
errors carry the API key in their request headers, so each is replaced by an `ApiError`.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import TracebackType
from typing import Self

import httpx
from google import genai
from google.genai import errors, types

from workflows import policies
from workflows.artifacts import OTHER_SUFFIX, SUFFIXES
from workflows.models import VideoStatus
from workflows.settings import Settings

_LONGEST_MESSAGE = 600
"""Characters of an error; each is kept in a history."""


class Outcome(StrEnum):
    """What is known of a call that failed."""

    PERMANENT = "permanent"
    """Refused for a reason that another try does not change; nothing was billed."""
    RETRYABLE = "retryable"
    """Not accepted, or free to send again."""
    AMBIGUOUS = "ambiguous"
    """A paid call that may have been billed although no usable reply came."""


class ApiError(Exception):
    """A failed call, in our own words and without the key.

    `code` is a stable name for programs; `retry_after_seconds` is the provider's own wish.
    """

    def __init__(
        self, code: str, message: str, outcome: Outcome, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.outcome = outcome
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Image:
    """An image as it came from the provider."""

    data: bytes
    mime_type: str

    @property
    def suffix(self) -> str:
        """How the name of its file ends."""
        return SUFFIXES.get(self.mime_type, OTHER_SUFFIX)


MaySend = Callable[[], None]
"""Asked when a request is about to leave; raises ApiError where it must not."""

_MODELS = (
    types.AutomaticFunctionCallingConfig,
    types.Blob,
    types.Candidate,
    types.Content,
    types.DownloadFileConfig,
    types.GenerateContentConfig,
    types.GenerateContentResponse,
    types.GenerateVideosConfig,
    types.GenerateVideosOperation,
    types.GenerateVideosResponse,
    types.GenerateVideosSource,
    types.GeneratedVideo,
    types.GetOperationConfig,
    types.HttpOptions,
    types.HttpResponse,
    types.HttpRetryOptions,
    types.Image,
    types.Part,
    types.UserContent,
    types.Video,
)
"""What the client builds a validator for when it first needs it, of all that the calls need."""

_may_send: ContextVar[MaySend] = ContextVar("may_send")


async def _watch_departure(request: httpx.Request) -> None:
    """Ask `MaySend` as late as can be: connected, with not a byte of the request sent."""

    async def trace(event: str, info: object) -> None:  # noqa: ARG001 - httpcore's signature
        if event.endswith("send_request_headers.started"):
            _may_send.get()()

    request.extensions["trace"] = trace


def tls_context() -> ssl.SSLContext:
    """One for all clients: to make one takes as long as all else that a client is made of.

    Certificates that the environment names may be others at the next start.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return httpx.create_ssl_context()
    return _usual_tls_context()


@cache
def _usual_tls_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def warm_up() -> None:
    """Make what is the same in every process, before they are forked: it connects to nobody, starts
    no thread and knows no key.
    """
    httpx.AsyncClient(verify=_usual_tls_context())  # it imports as late as it can
    for model in _MODELS:
        model.model_rebuild()


class Gemini:
    """The four calls that a video takes. Belongs to one event loop; close it by `async with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        context = tls_context()
        # Our own httpx client, or the library would follow a 307 with a second POST and, where
        # aiohttp is installed, send a request again after a reset.
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            event_hooks={"request": [_watch_departure]},
            verify=context,
        )
        self._client = genai.Client(
            vertexai=False,
            api_key=settings.gemini_api_key.get_secret_value(),
            http_options=types.HttpOptions(
                base_url=settings.google_gemini_base_url,
                httpx_async_client=self._http,
                # For what is never used, and would make two more.
                client_args={"verify": context},
                async_client_args={"ssl": context},
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()
        self._client.close()

    async def generate_image(self, prompt: str, may_send: MaySend = lambda: None) -> Image:
        """Paid. Raises ApiError."""
        deadline_seconds = self._settings.image_deadline_seconds
        async with self._call("image", deadline_seconds, may_send, paid=True) as options:
            reply = await self._client.aio.models.generate_content(
                model=self._settings.gemini_image_model,
                contents=prompt,
                config=types.GenerateContentConfig(
                    response_modalities=["IMAGE"],
                    automatic_continuation=False,
                    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
                    http_options=options,
                ),
            )
            return _image_of(reply)

    async def start_video(self, prompt: str, image: Image, may_send: MaySend = lambda: None) -> str:
        """Paid. The provider's name of the operation that makes the video. Raises ApiError."""
        deadline_seconds = self._settings.video_start_deadline_seconds
        async with self._call("video", deadline_seconds, may_send, paid=True) as options:
            operation = await self._client.aio.models.generate_videos(
                model=self._settings.gemini_video_model,
                source=types.GenerateVideosSource(
                    prompt=prompt,
                    image=types.Image(image_bytes=image.data, mime_type=image.mime_type),
                ),
                config=types.GenerateVideosConfig(
                    number_of_videos=1,
                    duration_seconds=self._settings.video_seconds,
                    resolution=self._settings.video_resolution,
                    http_options=options,
                ),
            )
            if not operation.name:
                raise _unreadable("video", paid=True)
            return operation.name

    async def poll_video(self, provider_operation: str) -> VideoStatus:
        """Free. The state of a video in the making. Raises ApiError, also where it failed."""
        async with self._call("poll", policies.POLL_DEADLINE_SECONDS, paid=False) as options:
            operation = await self._client.aio.operations.get(
                types.GenerateVideosOperation.model_validate({"name": provider_operation}),
                config=types.GetOperationConfig(http_options=options),
            )
            return _status_of(operation)

    async def download_video(self, uri: str) -> bytes:
        """Free. The whole video. Raises ApiError."""
        async with self._call(
            "download", policies.DOWNLOAD_DEADLINE_SECONDS, paid=False
        ) as options:
            data = await self._client.aio.files.download(
                file=types.Video(uri=uri),
                config=types.DownloadFileConfig(http_options=options),
            )
            if data[4:8] != b"ftyp":
                raise _unreadable("download", paid=False)
            return data

    @asynccontextmanager
    async def _call(
        self,
        name: str,
        deadline_seconds: float,
        may_send: MaySend = lambda: None,
        *,
        paid: bool,
    ) -> AsyncIterator[types.HttpOptions]:
        """Bound one call in total, and put what goes wrong in it into our own words."""
        _may_send.set(may_send)
        try:
            async with asyncio.timeout(deadline_seconds):
                yield types.HttpOptions(timeout=int(deadline_seconds * 1000))
        except ApiError as error:
            raise self._without_key(error) from None
        except Exception as error:  # noqa: BLE001 - any of the client's errors may hold the key
            found = classify(error, name, paid=paid, deadline_seconds=deadline_seconds)
            raise self._without_key(found) from None

    def _without_key(self, error: ApiError) -> ApiError:
        """The error, should the provider have repeated the key in its own words."""
        key = self._settings.gemini_api_key.get_secret_value()
        message = str(error).replace(key, "[key]")[:_LONGEST_MESSAGE]
        return ApiError(error.code, message, error.outcome, error.retry_after_seconds)


def classify(error: Exception, call: str, *, paid: bool, deadline_seconds: float) -> ApiError:
    """What an error of the client means for the money and for another try."""
    unclear = Outcome.AMBIGUOUS if paid else Outcome.RETRYABLE
    match error:
        case errors.APIError():
            return _classify_status(error, call, unclear)
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return ApiError(
                "Unreachable",
                f"the {call} call could not reach the API ({type(error).__name__}); "
                "check the network and GOOGLE_GEMINI_BASE_URL.",
                Outcome.RETRYABLE,
            )
        case TimeoutError() | httpx.TimeoutException():
            return ApiError(
                "NoReply", f"the {call} call had no reply within {deadline_seconds:g} s.", unclear
            )
        case httpx.HTTPError():
            return ApiError(
                "ConnectionLost",
                f"the connection broke during the {call} call ({type(error).__name__}).",
                unclear,
            )
        # JSON and pydantic errors are ValueErrors, and so is what the client refuses to send.
        case ValueError() if type(error) is ValueError:
            return ApiError(
                "InvalidRequest",
                f"the {call} call was refused by the client before it was sent; "
                "check the prompt and the settings.",
                Outcome.PERMANENT,
            )
        case _:
            return _unreadable(call, paid=paid)


def _unreadable(call: str, *, paid: bool) -> ApiError:
    return ApiError(
        "UnreadableReply",
        f"the reply to the {call} call was empty or not understood.",
        Outcome.AMBIGUOUS if paid else Outcome.RETRYABLE,
    )


def _classify_status(error: errors.APIError, call: str, unclear: Outcome) -> ApiError:
    said = _provider_message(error)
    code = error.code or 0
    if code in {401, 403} or "API_KEY_INVALID" in str(error.details):
        return ApiError(
            "InvalidApiKey",
            f"the API refused the key at the {call} call (HTTP {code}); check GEMINI_API_KEY.",
            Outcome.PERMANENT,
        )
    if code in {429, 503}:
        return ApiError(
            "Unavailable",
            f"the API did not take the {call} call (HTTP {code}): {said}",
            Outcome.RETRYABLE,
            retry_after_seconds=_retry_delay_seconds(error),
        )
    if code == 404:
        return ApiError(
            "NotFound",
            f"the API does not know what the {call} call asked for (HTTP 404): {said} "
            "Check GEMINI_IMAGE_MODEL and GEMINI_VIDEO_MODEL.",
            Outcome.PERMANENT,
        )
    if code >= 500 or code == 408:
        return ApiError("ServerError", f"the {call} call failed (HTTP {code}): {said}", unclear)
    return ApiError(
        "RequestRefused",
        f"the API refused the {call} call (HTTP {code}): {said}",
        Outcome.PERMANENT,
    )


def _provider_message(error: errors.APIError) -> str:
    """The provider's own sentence."""
    return str(error.message or "no reason given").rstrip(".") + "."


def _retry_delay_seconds(error: errors.APIError) -> float | None:
    """`retryDelay` of a `google.rpc.RetryInfo`, such as "2s"."""
    found = re.search(r"'retryDelay': '(\d+(?:\.\d+)?)s'", str(error.details))
    return float(found.group(1)) if found else None


def _image_of(reply: types.GenerateContentResponse) -> Image:
    feedback = reply.prompt_feedback
    if feedback and feedback.block_reason:
        raise ApiError(
            "Blocked",
            f"the character prompt was blocked ({feedback.block_reason.value}); reword it.",
            Outcome.PERMANENT,
        )
    if reply.candidates is None:
        raise _unreadable("image", paid=True)
    for candidate in reply.candidates:
        for part in (candidate.content.parts if candidate.content else None) or ():
            blob = part.inline_data
            if blob and blob.data and blob.mime_type:
                return Image(blob.data, blob.mime_type)
    reasons = ", ".join(c.finish_reason.value for c in reply.candidates if c.finish_reason)
    raise ApiError(
        "NoImage",
        f"the API made no image ({reasons or 'no reason given'}); reword the character prompt.",
        Outcome.PERMANENT,
    )


def _status_of(operation: types.GenerateVideosOperation) -> VideoStatus:
    if not operation.name:
        raise _unreadable("poll", paid=False)
    if not operation.done:
        return VideoStatus()
    if operation.error:
        reason = operation.error.get("message", "no reason given")
        raise ApiError("VideoFailed", f"the API failed to make it: {reason}", Outcome.PERMANENT)
    made = operation.response
    if made and made.generated_videos:
        video = made.generated_videos[0].video
        if video and video.uri:
            return VideoStatus(uri=video.uri)
    if made and made.rai_media_filtered_count:
        raise ApiError(
            "VideoFiltered",
            "the API's safety filter withheld it; reword the video prompt.",
            Outcome.PERMANENT,
        )
    raise _unreadable("poll", paid=False)
