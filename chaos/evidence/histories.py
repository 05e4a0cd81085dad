"""The histories of a case's workflows, fetched from the server, saved, and read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.files import read_file, write_file
from chaos.evidence.history import Workflow

HISTORIES = "histories"
CHILDREN = "children"


async def save_histories(
    client: Client,
    folder: Path,
    workflow_ids: Sequence[str],
    started: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Fetch and write the histories of all runs; a workflow that is gone leaves no file.

    `started` has the first run of each start, where an id was started more than once.
    """
    target = folder / HISTORIES
    _save_runs(target, "", ())  # the folder is there even where all of them are gone
    for workflow_id in workflow_ids:
        earlier = ((started or {}).get(workflow_id) or ())[:-1]
        runs = [run for first in earlier for run in await _fetch_from(client, workflow_id, first)]
        runs += await _fetch_runs(client, workflow_id)
        _save_runs(target, workflow_id, runs)
        await _save_children(client, folder / CHILDREN, runs)


def _save_runs(target: Path, name: str, runs: Sequence[WorkflowHistory]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, start=1):
        # As Temporal's own UI and CLI export and import it.
        write_file(target / history_name(name, number), run.to_json())


async def _save_children(client: Client, target: Path, runs: Sequence[WorkflowHistory]) -> None:
    """What the workflows had in hand that these runs started, and so on. Their ids are anybody's
    text, and no name of a file.
    """
    waiting = [child for run in runs for child in _children_of(run)]
    while waiting:
        workflow_id, run_id = waiting.pop()
        name = hashlib.sha256(f"{workflow_id}\0{run_id}".encode()).hexdigest()[:32]
        runs = await _fetch_from(client, workflow_id, run_id)
        _save_runs(target, name, runs)
        waiting += [child for run in runs for child in _children_of(run)]


def _children_of(run: WorkflowHistory) -> Iterator[tuple[str, str]]:
    for event in run.events:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            yield child.workflow_id, child.run_id


def history_name(workflow_id: str, number: int) -> str:
    return f"{workflow_id}.run-{number}.json"


async def _fetch_from(client: Client, workflow_id: str, first: str) -> Sequence[WorkflowHistory]:
    """A run of a start that has ended, and the runs as which it continued."""
    runs: list[WorkflowHistory] = []
    run_id = first
    while run_id:
        try:
            history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return runs
            raise
        runs.append(history)
        closing = history.events[-1]
        run_id = closing.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return runs


async def _fetch_runs(client: Client, workflow_id: str) -> Sequence[WorkflowHistory]:
    """All runs, oldest first: each run's first event names the run before it."""
    runs: list[WorkflowHistory] = []
    run_id: str | None = None
    while True:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            history = await handle.fetch_history()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return runs
            raise
        runs.insert(0, history)
        attributes = history.events[0].workflow_execution_started_event_attributes
        run_id = attributes.continued_execution_run_id
        if not run_id:
            return runs


def load_histories(
    folder: Path, prefix: str, converter: DataConverter = pydantic_data_converter
) -> Mapping[str, Workflow]:
    found: dict[str, dict[int, WorkflowHistory]] = {}
    for file in sorted(folder.glob("*.json")):
        workflow_id, _, number = file.stem.rpartition(".run-")
        history = WorkflowHistory.from_json(workflow_id, read_file(file).decode())
        found.setdefault(workflow_id, {})[int(number)] = history
    return {
        workflow_id.removeprefix(prefix): Workflow(
            workflow_id.removeprefix(prefix),
            tuple(runs[number] for number in sorted(runs)),
            converter,
        )
        for workflow_id, runs in found.items()
    }


def load_children(
    folder: Path, converter: DataConverter = pydantic_data_converter
) -> Sequence[Workflow]:
    """Each by the id that its first event tells; the names of their files are none."""
    found = load_histories(folder, "", converter).values()
    return tuple(replace(child, workflow_id=_id_in(child.runs[0])) for child in found)


def _id_in(run: WorkflowHistory) -> str:
    return str(run.events[0].workflow_execution_started_event_attributes.workflow_id)
