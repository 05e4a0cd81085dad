"""The same job on DBOS: `python -m benchmarks.peer_dbos JOB CHARACTER_PROMPT VIDEO_PROMPT`.

The steps, the client and its settings are those of `workflows/`, without the payment journal; the
database is the SQLite file that DBOS_SYSTEM_DATABASE_URL names. Started again after a crash it
recovers what was pending, as DBOS does in every process at its launch, and submits nothing again.
"""

from __future__ import annotations

import asyncio
import os
import sys

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowHandle

from benchmarks.points import Point, passes
from workflows.artifacts import ArtifactStore
from workflows.gemini import Gemini
from workflows.settings import Settings, load_settings
from workflows.success_replies import Image


class Clients:
    """One client and one artifact folder for the event loop in which DBOS runs the steps."""

    gemini: Gemini
    store: ArtifactStore
    settings: Settings

    @classmethod
    def open(cls) -> None:
        """Made before the launch, as a worker makes its own."""
        cls.settings = load_settings()
        cls.gemini = Gemini(cls.settings)
        cls.store = ArtifactStore(cls.settings.artifacts_dir.absolute())


@DBOS.step()
async def make_image(job: str, prompt: str) -> str:
    """Paid."""
    passes(job, Point.BEFORE_IMAGE)
    image = await Clients.gemini.generate_image(prompt)
    await asyncio.to_thread(Clients.store.prepare, job)
    saved = await asyncio.to_thread(Clients.store.save, job, f"image{image.suffix}", image.data)
    return saved.path


@DBOS.step()
async def start_video(job: str, prompt: str, image: str) -> str:
    """Paid."""
    passes(job, Point.BEFORE_VIDEO)
    data = await asyncio.to_thread((Clients.settings.artifacts_dir.absolute() / image).read_bytes)
    name = await Clients.gemini.start_video(prompt, Image(data, "image/png"))
    passes(job, Point.AFTER_VIDEO)
    return name


@DBOS.step()
async def await_video(name: str) -> str:
    """Poll until it is made."""
    while True:
        made = await Clients.gemini.poll_video(name)
        if made and made.uri:
            return made.uri
        await asyncio.sleep(Clients.settings.video_poll_seconds)


@DBOS.step()
async def download(job: str, uri: str) -> str:
    """Fetch it."""
    data = await Clients.gemini.download_video(uri)
    saved = await asyncio.to_thread(Clients.store.save, job, "video.mp4", data)
    return saved.path


@DBOS.workflow()
async def make(job: str, character_prompt: str, video_prompt: str) -> str:
    """The character's image, then the video of it."""
    image = await make_image(job, character_prompt)
    name = await start_video(job, video_prompt, image)
    return await download(job, await await_video(name))


def main() -> int:
    """Submit the job unless it is known, and stay until it is done."""
    job, character_prompt, video_prompt = sys.argv[1:]
    Clients.open()
    config: DBOSConfig = {
        "name": "peer",
        "system_database_url": os.environ["DBOS_SYSTEM_DATABASE_URL"],
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    if DBOS.get_workflow_status(job) is None:
        with SetWorkflowID(job):
            DBOS.start_workflow(make, job, character_prompt, video_prompt)
    handle: WorkflowHandle[str] = DBOS.retrieve_workflow(job)
    sys.stdout.write(f"{handle.get_result()} is made\n")
    DBOS.destroy()
    return 0


if __name__ == "__main__":
    sys.exit(main())
