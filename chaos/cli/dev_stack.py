"""A whole stack to try things by hand: it starts, tells its addresses, and waits to be ended."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import httpx

from chaos.environment.factory import ProcessFactory
from chaos.environment.stack import Place, Stack, StackSpec
from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.journal import Journal
from chaos.process.child import Child, ChildError, spawning
from chaos.process.programs import TEMPORAL_CLI, find_program
from chaos.process.reaper import MARK, Guard
from chaos.process.waiting import DeadlineExceededError
from tests.chaos.video.fake_api.settings import LatencyChange

HOST = "127.0.0.1"
READY_DEADLINE_SECONDS = 30.0

PACE = LatencyChange(image_seconds=2.0, video_start_seconds=0.5, video_seconds=6.0)
"""How long the fake API takes: long enough to be watched, and to break something meanwhile."""

_LOOK_SECONDS = 0.5

_TRY = """\
Start a video, which takes some seconds, and look at it:
  curl http://{service}/api/template-workflow \\
    -H 'Content-Type: application/json' -d '{{"templateType": "single",
    "operationId": "my-video", "config": {{"characterPrompt": "a fox in a raincoat",
    "videoPrompt": "it jumps over a puddle"}}}}'
  curl http://{service}/api/status/my-video
Kill a worker meanwhile; the fleet goes on with another:
  kill -9 {pid}
Ctrl-C takes all down."""


class PlaygroundError(Exception):
    """The stack cannot be started. What happened, and what to do."""


@dataclass(frozen=True)
class Playground:
    """What is to be started. Without a folder to `keep` its files in, they go with it."""

    workers: int
    service_port: int
    keep: Path | None
    say: Callable[[str], None]

    def run(self, temporal_cli: Path | None) -> None:
        """Start all, tell where it is, wait for Ctrl-C or SIGTERM, and leave nothing behind.

        Raises PlaygroundError, BadBinaryError and BinaryNotFoundError.
        """
        self._require_port()
        self._require_folder()
        with Guard() as guard, spawning(guard) as spawner:
            cli = find_program(
                TEMPORAL_CLI, temporal_cli, announce=self.say, env_mark={MARK: guard.mark}
            )
            folder = self.keep or guard.folder / "kept"
            place = Place(
                mark=guard.mark,
                scratch=guard.folder,
                evidence=folder,
                temporal_cli=cli.path,
                live_ledger=folder / "paid.db",
                spawner=spawner,
            )
            with closing(Journal(folder / "journal.jsonl", lambda _: None)) as journal:
                asyncio.run(self._run(place, journal))
            self.say("taking all down …")
        self.say("All is down." + (f" Its files are in {self.keep}." if self.keep else ""))

    async def _run(self, place: Place, journal: Journal) -> None:
        try:
            self.say("starting Temporal and the fake API …")
            async with Stack(StackSpec(ui=True), place, journal) as stack:
                await stack.api.control.set_latencies(PACE)
                self.say(f"starting a fleet of {self.workers} …")
                fleet = await stack.start_supervisor(self.workers)
                self.say("starting the service …")
                async with self._service(stack, place, journal) as service:
                    self._tell(stack, fleet, place)
                    processes = [stack.server.child, stack.api.child, fleet.child, service]
                    await self._until_ended(processes)
        except (ChildError, DeadlineExceededError) as error:
            raise PlaygroundError(f"the stack cannot be started: {error}") from None

    @asynccontextmanager
    async def _service(self, stack: Stack, place: Place, journal: Journal) -> AsyncIterator[Child]:
        logs = place.evidence / "logs"
        site = ProcessFactory(place.mark, place.scratch, logs, journal, spawner=place.spawner)
        argv = (sys.executable, "-m", "workflows.service", "--host", HOST)
        settings = {"TASK_QUEUE": stack.task_queue, **stack.temporal.worker_environment}
        child = site.child("service", (*argv, "--port", str(self.service_port)), settings)
        try:
            await child.start_ready(
                self._service_answers,
                what="the service answers",
                deadline_seconds=READY_DEADLINE_SECONDS,
            )
            yield child
        finally:
            await child.discard()

    async def _service_answers(self) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"http://{self._service_address}/ready")
            except httpx.TransportError:
                return False
        return answer.is_success

    @property
    def _service_address(self) -> str:
        return f"{HOST}:{self.service_port}"

    def _tell(self, stack: Stack, fleet: SupervisorProcess, place: Place) -> None:
        ui = stack.server.ui_port
        files = place.evidence if self.keep else f"{place.evidence} (they go with it; see --keep)"
        for what, where in (
            ("Status page", f"http://{self._service_address}"),
            ("HTTP API", f"http://{self._service_address}/docs"),
            ("Temporal UI", f"http://{ui.address}" if ui else "none"),
            ("Temporal", f"{stack.temporal.address}, namespace {stack.temporal.namespace}"),
            ("Fake API", f"http://{stack.api.port.address}"),
            ("Files", files),
        ):
            self.say(f"{what:15}{where}")
        for line in (
            "",
            *_TRY.format(service=self._service_address, pid=fleet.pids[0]).splitlines(),
        ):
            self.say(line)

    async def _until_ended(self, processes: Sequence[Child]) -> None:
        """Wait for a signal, and tell meanwhile of a process that has ended by itself."""
        ended = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
        living = list(processes)
        while not ended.is_set():
            for child in [each for each in living if not each.is_alive]:
                living.remove(child)
                self.say(f"{child.name} has ended; Ctrl-C ends the others. Its log: {child.log}")
            try:
                await asyncio.wait_for(ended.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    def _require_port(self) -> None:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as tried:
            # As the service does it: connections that a former one has left are no hindrance.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HOST, self.service_port))
                tried.listen()
            except OSError as error:
                raise PlaygroundError(
                    f"port {self.service_port} on {HOST} cannot be used ({error.strerror}); "
                    "choose another with --service-port."
                ) from None

    def _require_folder(self) -> None:
        if self.keep is None:
            return
        try:
            self.keep.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.keep):
                return
        except OSError as error:
            raise PlaygroundError(
                f"nothing can be kept in {self.keep} ({error.strerror}); "
                "name another folder by --keep."
            ) from None
