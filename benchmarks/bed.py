"""Where a benchmark runs: a stack of its own, whose processes end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.environment.factory import ProcessFactory
from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.evidence.journal import Journal
from chaos.experiment.lab import Options
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.target import VIDEO


@dataclass(frozen=True)
class Bed:
    """`folder` is temporary; all processes carry the run's `run_tag`."""

    folder: Path
    run_tag: str
    temporal_cli: Path

    @asynccontextmanager
    async def lab(self, name: str, *, persistent: bool = True) -> AsyncIterator[VideoLab]:
        """A stack without workers: a dev server on a file or in memory, and the fake API."""
        scratch, evidence = self.folder / name / "scratch", self.folder / name / "evidence"
        scratch.mkdir(parents=True)
        journal = Journal(evidence / "journal.jsonl", lambda _: None)
        try:
            config = StackConfig(self.run_tag, scratch, evidence, self.temporal_cli, name=name)
            async with Stack(StackSpec(persistent=persistent), VIDEO, config, journal) as stack:
                lab = VideoLab(stack, journal, Options())
                try:
                    yield lab
                finally:
                    await lab.close()
        finally:
            journal.close()

    def site(self, lab: VideoLab) -> ProcessFactory:
        """Where further processes of a lab's stack live."""
        scratch = lab.stack.evidence_folder.parent / "scratch"
        logs = lab.stack.evidence_folder / "logs"
        return ProcessFactory(self.run_tag, scratch, logs, lab.journal)
