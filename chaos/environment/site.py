"""Where the processes of a stack live: their folders, their environment, their journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment
from chaos.process.spawner import Spawner


@dataclass(frozen=True)
class Site:
    """`scratch` goes after the run, `logs` are kept. All processes carry the run's `mark`.

    `name` tells the stack from the others of its run. `spawner` starts the suite's own programs.
    """

    mark: str
    scratch: Path
    logs: Path
    journal: Journal
    name: str = "stack"
    spawner: Spawner | None = None

    def child(
        self, name: str, argv: Sequence[str], extra: Mapping[str, str] | None = None
    ) -> Child:
        """A process that can be started here, with `extra` in its environment."""
        return Child(
            name=name,
            argv=argv,
            environment=child_environment(self.mark, self.scratch, extra or {}),
            folder=self.scratch,
            log=self.logs / f"{name}.log",
            journal=self.journal,
            spawner=self.spawner,
        )
