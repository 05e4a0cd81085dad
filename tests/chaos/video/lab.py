"""A lab of the video system: it sets breakpoints at the fake API, and reads the workers' record."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.case import save_books
from chaos.evidence.files import write_file
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import EndedEarlyError, Lab
from chaos.process.waiting import wait_until
from tests.chaos.video.api_probe import ApiProbe, Breakpoint, FakeApiProbe, LiveApiProbe
from tests.chaos.video.evidence import BILLS, bills_about, save_live_bills, save_paid_calls
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import FakeApi
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.specs import VideoSpec
from workflows.payments.journal import PaymentJournal
from workflows.policies import JOURNAL_GRACE_SECONDS

LONGEST_LOOK_SECONDS = 2.0
"""How long a poll is waited for before somebody looks whether its workflow has ended."""


@dataclass
class VideoLab(Lab):
    """With the fake API's control, and a probe of whichever API is there."""

    def __post_init__(self) -> None:
        self._api: FakeApi | None = None
        if service := self.stack.services.get("api"):
            self._api = FakeApi(f"http://{service.port.address}")
        self.api_probe = self._make_probe()

    @property
    def api(self) -> FakeApi:
        """The fake API's control; a live lab has none."""
        if self._api is None:
            raise LookupError("a live lab has no fake API.")
        return self._api

    @property
    def payment_journal_url(self) -> str:
        """Where the workers keep their record of paid calls."""
        return self.stack.placement.settings()["PAYMENT_JOURNAL_URL"]

    def _make_probe(self) -> ApiProbe:
        if self._api:
            return FakeApiProbe(self._api)
        journal = PaymentJournal.open(self.payment_journal_url, grace_seconds=JOURNAL_GRACE_SECONDS)
        return LiveApiProbe(
            self.client, journal, self.video_specs, self.is_at_an_api, self.stack.temporal.prefix
        )

    def video_specs(self) -> list[VideoSpec]:
        """What was asked for so far."""
        return [spec for spec in self.specs if isinstance(spec, VideoSpec)]

    async def set_breakpoint(
        self, call: BreakAt, match: str = "", when: When = When.BEFORE_BILLING
    ) -> Breakpoint:
        """Stop the next request, or rendering, that matches, where the API can do that."""
        return await self.api_probe.set_breakpoint(
            BreakpointSpec(call=call, match=match, when=when)
        )

    async def until_polled(self, prompt: str) -> None:
        """Wait until the provider is asked once more whether a prompt's video is made."""

        async def asked_again() -> bool:
            for spec in self.video_specs():
                if prompt in spec.prompts and await self.has_ended(spec.workflow_id):
                    raise EndedEarlyError(f"{spec.workflow_id} has ended too early.")
            return await self.api_probe.polled(prompt, LONGEST_LOOK_SECONDS)

        await wait_until(
            asked_again,
            what=f"the video {prompt!r} is polled",
            deadline_seconds=self.step_deadline_seconds,
        )

    def is_at_an_api(self) -> bool:
        """Whether a worker is connected to anything but the Temporal server."""
        alive = [worker.child.pid for worker in self.stack.workers if worker.child.is_alive]
        port = int(self.stack.temporal.address.rpartition(":")[2])
        return any(_is_connected_beyond(pid, port) for pid in alive)

    async def save(self, folder: Path) -> None:
        """Keep the workers' record of paid calls; a real provider's bills are made of it."""
        ids = [f"{self.stack.temporal.prefix}{spec.workflow_id}" for spec in self.specs]
        await asyncio.to_thread(save_paid_calls, self.payment_journal_url, folder, ids)
        if self.stack.target.live:
            save_live_bills(folder, self.video_specs())

    async def supervisor(self, workers: int, **options: Any) -> SupervisorProcess:
        """By the fleet, which is a process of its own."""
        found = await super().supervisor(workers, **options)
        if not isinstance(found, SupervisorProcess):
            raise TypeError("the video system has a supervisor of its own.")
        return found

    async def keep(self, spec: WorkflowSpec, folder: Path) -> None:
        """With the provider's records about it, the workers' record, and the files."""
        await asyncio.to_thread(self._keep_own, spec, folder)

    def _keep_own(self, spec: WorkflowSpec, folder: Path) -> None:
        whole, real_id = self.stack.evidence_folder, self.handle(spec.workflow_id).id
        save_paid_calls(self.payment_journal_url, folder, [real_id])
        if isinstance(spec, VideoSpec):
            write_file(folder / BILLS, bills_about(whole, spec))
        artifacts = whole / "artifacts" / real_id
        if artifacts.exists():
            (folder / "artifacts").mkdir()
            shutil.move(artifacts, folder / "artifacts" / real_id)
        save_books(folder, self.stack.target.reading)

    async def close(self) -> None:
        """Let go of the probe and of the fake API's control."""
        self.api_probe.close()
        if self._api:
            with suppress(RuntimeError):
                await self._api.aclose()


def _is_connected_beyond(pid: int, port: int) -> bool:
    """Whether a process has a connection to any other port than this."""
    try:
        connections = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    peers = [c.raddr.port for c in connections if c.status == psutil.CONN_ESTABLISHED and c.raddr]
    return any(peer != port for peer in peers)
