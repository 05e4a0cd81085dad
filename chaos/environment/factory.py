"""Makes the processes of a stack: their folders, their environment, their journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment, guest_environment
from chaos.process.spawner import Spawner


@dataclass(frozen=True)
class ProcessFactory:
    """`scratch` is removed after the run, `logs` are kept. All processes have the run's `run_tag`.
    `name` distinguishes the stack from the others of its run. `spawner` starts Python programs by
    fork.
    """

    run_tag: str
    scratch: Path
    logs: Path
    journal: Journal
    name: str = "stack"
    spawner: Spawner | None = None

    def child(
        self, name: str, argv: Sequence[str], extra: Mapping[str, str] | None = None
    ) -> Child:
        """A process to be started here, with `extra` in its environment."""
        return Child(
            name=name,
            argv=argv,
            environment=child_environment(self.run_tag, self.scratch, extra or {}),
            folder=self.scratch,
            log=self.logs / f"{name}.log",
            journal=self.journal,
            spawner=self.spawner,
        )

    def guest(  # noqa: PLR0913 - each is named by its caller
        self,
        name: str,
        argv: Sequence[str],
        extra: Mapping[str, str],
        *,
        folder: Path,
        project: Path | None = None,
        passed: Sequence[str] = (),
        is_group: bool = True,
    ) -> Child:
        """A process of the target in its folder: its environment and path have nothing of the
        harness, and `python` is that of its `project`, by default of the folder. Unless it is no
        group, the processes that it starts are part of it.
        """
        return Child(
            name=name,
            argv=argv,
            environment=guest_environment(
                self.run_tag, self.scratch, extra, folder=project or folder, passed=passed
            ),
            folder=folder,
            log=self.logs / f"{name}.log",
            journal=self.journal,
            spawner=self.spawner,
            is_group=is_group,
        )
