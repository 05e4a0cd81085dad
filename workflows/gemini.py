"""The google-genai client with every hidden retry off.

Each method sends at most one paid request, and each error that leaves it is an `ApiError`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from google import genai
from google.genai import errors, types

from workflows import policies
from workflows.api_errors import ApiError, Call, classify, unreadable
from workflows.settings import Settings
from workflows.success_replies import Image, MadeVideo, image_of, name_of, video_of
from workflows.transport import Exchange, Http, MaySend, exchange, tls_context, usual_tls_context

_LONGEST_MESSAGE = 600
"""Characters of an error; each is kept in a history."""

_FILE = re.compile(r"/v1\w*/(files/[\w-]+)(?::download)?(?:\?|$)")
"""The file in an address of the provider, which the client asks for by its name. Whatever is
elsewhere is fetched from there, without the key.
"""

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


def warm_up() -> None:
    """Make what is the same in every process, before they are forked: it connects to nobody, starts
    no thread and knows no key.
    """
    httpx.AsyncClient(verify=usual_tls_context())  # it imports as late as it can
    for model in _MODELS:
        model.model_rebuild()


@contextmanager
def _read_as_it_came() -> Iterator[None]:
    """Pass over what the client makes of a success: see `success_replies`.

    For the client every status but 200 is an error, also a 202 with what was asked for.
    """
    try:
        yield
    except (errors.APIError, ValueError, TypeError, AttributeError, Warning):
        response = exchange.get().response
        if response is None or not response.is_success:
            raise


class Gemini:
    """The four calls that a video takes. Belongs to one event loop; close it by `async with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        context = tls_context()
        self._http = Http(context)
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
        call = Call("image", self._settings.image_deadline_seconds, paid=True)
        async with self._bounded(call, may_send) as options:
            with _read_as_it_came():
                await self._client.aio.models.generate_content(
                    model=self._settings.gemini_image_model,
                    contents=prompt,
                    config=types.GenerateContentConfig(
                        response_modalities=["IMAGE"],
                        automatic_continuation=False,
                        automatic_function_calling=types.AutomaticFunctionCallingConfig(
                            disable=True
                        ),
                        http_options=options,
                    ),
                )
            return image_of(exchange.get().response, call)

    async def start_video(self, prompt: str, image: Image, may_send: MaySend = lambda: None) -> str:
        """Paid. The provider's name of the operation that makes the video. Raises ApiError."""
        call = Call("video", self._settings.video_start_deadline_seconds, paid=True)
        async with self._bounded(call, may_send) as options:
            with _read_as_it_came():
                await self._client.aio.models.generate_videos(
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
            return name_of(exchange.get().response, call)

    async def poll_video(self, provider_operation: str) -> MadeVideo | None:
        """Free. The video; None while it is in the making. Raises ApiError where it failed, too."""
        call = Call("poll", policies.POLL_DEADLINE_SECONDS, paid=False)
        async with self._bounded(call) as options:
            with _read_as_it_came():
                await self._client.aio.operations.get(
                    types.GenerateVideosOperation.model_validate({"name": provider_operation}),
                    config=types.GetOperationConfig(http_options=options),
                )
            return video_of(exchange.get().response, call)

    async def download_video(self, uri: str) -> bytes:
        """Free. The whole video. Raises ApiError."""
        call = Call("download", policies.DOWNLOAD_DEADLINE_SECONDS, paid=False)
        async with self._bounded(call) as options:
            file = _FILE.search(uri)
            if file:
                data = await self._client.aio.files.download(
                    file=file.group(1), config=types.DownloadFileConfig(http_options=options)
                )
            else:
                reply = await self._http.get(uri, timeout=call.deadline_seconds)
                data = reply.raise_for_status().content
            if data[4:8] != b"ftyp":
                raise unreadable(call)
            return data

    @asynccontextmanager
    async def _bounded(
        self, call: Call, may_send: MaySend = lambda: None
    ) -> AsyncIterator[types.HttpOptions]:
        """Bound one call in total, and put what goes wrong in it into our own words."""
        now = Exchange(may_send)
        exchange.set(now)
        try:
            async with asyncio.timeout(call.deadline_seconds):
                yield types.HttpOptions(timeout=int(call.deadline_seconds * 1000))
        except ApiError as error:
            raise self._without_key(error) from None
        except Exception as error:  # noqa: BLE001 - any of the client's errors may hold the key
            raise self._without_key(classify(error, call, now)) from None

    def _without_key(self, error: ApiError) -> ApiError:
        """The error, should the provider have repeated the key in its own words."""
        key = self._settings.gemini_api_key.get_secret_value()
        message = str(error).replace(key, "[key]").replace(quote(key, safe=""), "[key]")
        return ApiError(
            error.code, message[:_LONGEST_MESSAGE], error.outcome, error.retry_after_seconds
        )
