"""A whole stack to try things by hand: it starts, prints its addresses, and waits for Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.environment.supervisor import SupervisorProcess
from chaos.environment.target import Target, Up
from chaos.evidence.journal import Journal
from chaos.experiment.lab import Lab, Options
from chaos.process.child import Child, ChildError, spawning
from chaos.process.programs import TEMPORAL_CLI, find_program
from chaos.process.reaper import Reaper
from chaos.process.waiting import DeadlineExceededError

_LOOK_SECONDS = 0.5

_HINTS = """\
Kill a worker; another takes its place:
  kill -9 {pid}"""
_END = "Ctrl-C stops everything."


class DevStackError(Exception):
    """The stack cannot be started. One sentence: why, and what to do."""


@dataclass(frozen=True)
class DevStack:
    """What is to be started. Without a folder to `keep` its files in, they are removed."""

    target: Target
    workers: int
    keep: Path | None
    say: Callable[[str], None]

    def run(self, temporal_cli: Path | None) -> None:
        """Start all, print the addresses, wait for Ctrl-C or SIGTERM, and leave nothing behind.

        Raises DevStackError, BadBinaryError and BinaryNotFoundError.
        """
        self._require_folder()
        up = self.target.up() if self.target.up else Up(self.target, hints=_HINTS)
        preload = tuple(up.target.preload)
        with Reaper() as reaper, spawning(reaper, preload, up.target.folder_in(None)) as spawner:
            cli = find_program(
                TEMPORAL_CLI, temporal_cli, announce=self.say, environment=reaper.environment
            )
            folder = self.keep or reaper.folder / "kept"
            config = StackConfig(
                run_tag=reaper.run_tag,
                scratch=reaper.folder,
                evidence=folder,
                temporal_cli=cli.path,
                spawner=spawner,
            )
            with closing(Journal(folder / "journal.jsonl", lambda _: None)) as journal:
                asyncio.run(self._run(up, config, journal))
            self.say("stopping …")
        self.say(
            "Everything has stopped." + (f" Its files are in {self.keep}." if self.keep else "")
        )

    async def _run(self, up: Up, config: StackConfig, journal: Journal) -> None:
        try:
            names = ["Temporal", *(service.name for service in up.target.services)]
            self.say(f"starting {', '.join(names)} …")
            async with Stack(StackSpec(ui=True), up.target, config, journal) as stack:
                self.say(f"starting workers: {self.workers} …")
                supervisor = await Lab(stack, journal, Options()).supervisor(self.workers)
                for front in up.fronts:
                    self.say(f"starting {front.name} …")
                    await stack.start_front(front)
                for line in self._words(up, stack, supervisor.pids[0]):
                    self.say(line)
                processes = [stack.server.child, *(s.child for s in stack.services.values())]
                if isinstance(supervisor, SupervisorProcess):
                    processes.append(supervisor.child)
                await self._until_ended(processes)
        except (ChildError, DeadlineExceededError) as error:
            raise DevStackError(f"the stack cannot be started: {error}") from None

    def _words(self, up: Up, stack: Stack, worker: int) -> Iterator[str]:
        folder, ui = stack.evidence_folder, stack.server.ui_port
        addresses = {name: service.port.address for name, service in stack.services.items()}
        rows = {
            "Temporal UI": f"http://{ui.address}" if ui else "none",
            "Temporal": f"{stack.temporal.address}, namespace {stack.temporal.namespace}",
            "Task queue": stack.task_queue,
            **{
                name: process.service.url.replace("{address}", addresses[name])
                for name, process in stack.services.items()
            },
            "Files": folder if self.keep else f"{folder} (removed at the end; see --keep)",
        }
        width = max(map(len, rows)) + 2
        yield from (f"{what:{width}}{where}" for what, where in rows.items())
        yield ""
        hints = up.hints.replace("{pid}", str(worker))
        for name, address in addresses.items():
            hints = hints.replace(f"{{{name}}}", address)
        yield from (*hints.splitlines(), _END)

    async def _until_ended(self, processes: Sequence[Child]) -> None:
        """Wait for a signal, and report each process that ends by itself."""
        ended = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
        living = list(processes)
        while not ended.is_set():
            for child in [each for each in living if not each.is_alive]:
                living.remove(child)
                self.say(f"{child.name} has ended; Ctrl-C stops the others. Its log: {child.log}")
            try:
                await asyncio.wait_for(ended.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    def _require_folder(self) -> None:
        if self.keep is None:
            return
        try:
            self.keep.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.keep):
                return
        except OSError as error:
            raise DevStackError(
                f"files cannot be kept in {self.keep} ({error.strerror}); give another folder by "
                "--keep."
            ) from None
