"""`python -m chaos.cli.replayer MODULE:CLASS…`: the replayer of Python workflows, as
`chaos/cli/replayers.py` describes one. `temporal-chaos replay` starts it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.runtime import Runtime

from chaos.cli import UnusableError
from chaos.cli.project import folders_here, targets_here
from chaos.cli.terminal import put
from chaos.environment.temporal import quiet_runtime
from chaos.evidence.text import plain
from chaos.experiment.catalogue import object_named
from chaos.invariants.replaying import Code, Replays, type_of


def code_of(names: Sequence[str]) -> Sequence[Code]:
    """The named workflow classes; without names, those that the targets of the project in the
    current folder give to `replays_with`. Raises UnusableError.
    """
    if names:
        folders_here()
        return [Code([found for name in names for found in _workflows_named(name)])]
    checks = (check for target in targets_here() for check in target.invariants)
    if found := [check.code for check in checks if isinstance(check, Replays)]:
        return found
    raise UnusableError(
        "no target of this project has replays_with among its invariants: name the workflow "
        "classes with --workflows MODULE:CLASS, or a program with --command."
    )


def _workflows_named(name: str) -> Sequence[type]:
    """A class, or those of a list that a module has."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise UnusableError(f"--workflows {name}: say MODULE:CLASS, such as shop.workflow:Order.")
    try:
        found = object_named(module, attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a module may as well end the program
        raise UnusableError(
            f"--workflows {name} cannot be imported ({plain(repr(error), 300)}); modules are found "
            "from the project's folder and those of pytest's pythonpath."
        ) from None
    listed = found if isinstance(found, list | tuple) else [found]
    for each in listed:
        try:
            type_of(each)
        except (ValueError, TypeError, AttributeError):
            raise UnusableError(
                f"--workflows {name}: {plain(repr(each), 100)} is no workflow; name a class that "
                "has @workflow.defn, or a list of such."
            ) from None
    return listed


class _Lane:
    """The histories of one `Code`, one after the other."""

    def __init__(self, code: Code) -> None:
        self._asked: asyncio.Queue[WorkflowHistory] = asyncio.Queue()
        self._answers = code.replayed(self._histories())

    async def _histories(self) -> AsyncIterator[WorkflowHistory]:
        while True:
            yield await self._asked.get()

    async def replay(self, history: WorkflowHistory) -> str:
        await self._asked.put(history)
        _, failure = await anext(self._answers)
        return failure


async def _serve(lanes: Mapping[str, _Lane]) -> None:
    while name := (await asyncio.to_thread(sys.stdin.readline)).rstrip("\n"):
        history = _read(Path(name))
        kind = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
        put(json.dumps({"file": name, "failure": await lanes[kind].replay(history)}))


def _read(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text())


def main() -> None:
    """Answer until the standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    with suppress(RuntimeError):  # somebody in this process has set one already
        Runtime.set_default(quiet_runtime())
    codes = code_of(sys.argv[1:])
    lanes = {kind: lane for code in codes for lane in [_Lane(code)] for kind in code.kinds}
    asyncio.run(_serve(lanes))


if __name__ == "__main__":
    main()
