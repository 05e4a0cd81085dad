"""The calls a worker makes, through Google's real client."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from google.genai import types
from google.genai.client import AsyncClient

from chaos.process.waiting import wait_until
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import When
from tests.integration.video.stand_in import DEADLINE_SECONDS, Service

IMAGE_MODEL = "gemini-image"
VIDEO_MODEL = "veo-fast"
PROMPT = "a fox in the snow"
REFERENCE = b"the bytes of a reference image"


async def make_image(google: AsyncClient, prompt: str = PROMPT) -> types.GenerateContentResponse:
    return await google.models.generate_content(model=IMAGE_MODEL, contents=prompt)


def image_bytes(reply: types.GenerateContentResponse) -> bytes:
    assert reply.parts is not None
    blob = reply.parts[0].inline_data
    assert blob is not None
    assert blob.data is not None
    assert blob.mime_type == "image/png"
    return blob.data


async def start_operation(
    google: AsyncClient, prompt: str = PROMPT
) -> types.GenerateVideosOperation:
    source = types.GenerateVideosSource(
        prompt=prompt, image=types.Image(image_bytes=REFERENCE, mime_type="image/png")
    )
    return await google.models.generate_videos(model=VIDEO_MODEL, source=source)


async def start_video(google: AsyncClient, prompt: str = PROMPT) -> str:
    operation = await start_operation(google, prompt)
    assert operation.name is not None
    return operation.name


async def poll(google: AsyncClient, name: str) -> types.GenerateVideosOperation:
    known = types.GenerateVideosOperation.model_validate({"name": name})
    operation = await google.operations.get(known)
    assert isinstance(operation, types.GenerateVideosOperation)
    return operation


async def abandon(call: asyncio.Task[object]) -> None:
    """Leave in the middle of a call, as a client that was killed."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def begin(call: Awaitable[object]) -> asyncio.Task[object]:
    """A call under way."""

    async def run() -> object:
        return await call

    return asyncio.create_task(run())


async def finished(google: AsyncClient, name: str) -> types.GenerateVideosOperation:
    async def done() -> bool:
        return bool((await poll(google, name)).done)

    await wait_until(done, what=f"{name} is done", deadline_seconds=DEADLINE_SECONDS)
    return await poll(google, name)


def video_of(operation: types.GenerateVideosOperation) -> types.Video:
    assert operation.response is not None
    assert operation.response.generated_videos
    video = operation.response.generated_videos[0].video
    assert video is not None
    return video


async def download(google: AsyncClient, video: types.Video) -> bytes:
    # A copy: the client keeps the bytes in the object it is given.
    content = await google.files.download(file=types.Video(uri=video.uri))
    assert isinstance(content, bytes)
    return content


async def made_before(service: Service, google: AsyncClient) -> tuple[str, types.Video]:
    """A video made before the test begins to count."""
    made = await rendered_video(google)
    await service.settled()
    service.begin()
    return made


async def rendered_video(google: AsyncClient, prompt: str = PROMPT) -> tuple[str, types.Video]:
    name = await start_video(google, prompt)
    return name, video_of(await finished(google, name))


URI = "https://generativelanguage.googleapis.com/v1beta/files/none:download?alt=media"
CALLS: dict[Call, Callable[[AsyncClient, str, types.Video], Awaitable[object]]] = {
    Call.IMAGE: lambda google, _name, _video: make_image(google),
    Call.VIDEO_START: lambda google, _name, _video: start_operation(google),
    Call.POLL: lambda google, name, _video: poll(google, name),
    Call.DOWNLOAD: lambda google, _name, video: download(google, video),
}
WHENS = (When.BEFORE_BILLING, When.AFTER_BILLING)
