"""The histories of a case's workflows, and what the open ones wait for: fetched from the server,
saved, and read back.

A workflow's id is part of its files' names, in which a slash is written as `%2F`, a colon as `%3A`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.files import read_file, read_if_there, write_file
from chaos.evidence.history import Status, Workflow
from chaos.evidence.pending import Pending, pending_of

HISTORIES = "histories"
CHILDREN = "children"
PENDING = "pending"

_WRITTEN_AS_THEY_ARE = " !#$&'()+,;=@[]{}"
"""No colon: NTFS and the artifacts of a CI run do not allow it in a file's name."""


async def save_histories(
    client: Client,
    folder: Path,
    workflow_ids: Sequence[str],
    started: Mapping[str, Sequence[str]] | None = None,
) -> Sequence[str]:
    """Fetch and write the histories of all runs and of all that they started, and what those that
    are open wait for. A workflow that the server has lost leaves no file. `started` has the first
    run of each start, where an id was started more than once. Returns the ids of the children that
    outlive their parents by policy.
    """
    (folder / HISTORIES).mkdir(parents=True, exist_ok=True)  # even where all of them are gone
    children: dict[tuple[str, str], bool] = {}
    for workflow_id in workflow_ids:
        earlier = ((started or {}).get(workflow_id) or ())[:-1]
        runs = [run for first in earlier for run in await _fetch_from(client, workflow_id, first)]
        runs += await _fetch_runs(client, workflow_id)
        await _save(client, folder, HISTORIES, file_stem(workflow_id), runs)
        children |= await _save_children(client, folder, runs)
    return [each for (each, _), is_left in children.items() if is_left and each not in workflow_ids]


async def _save(
    client: Client, folder: Path, kind: str, name: str, runs: Sequence[WorkflowHistory]
) -> Workflow | None:
    """Save the runs of one workflow; None where it has none."""
    (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs, start=1):
        # As Temporal's own UI and CLI export and import it.
        write_file(folder / kind / f"{name}.run-{number}.json", run.to_json())
    if not runs:
        return None
    workflow = Workflow(runs[-1].workflow_id, runs)
    if workflow.status is Status.RUNNING:
        pending = await pending_of(client, workflow.workflow_id, runs[-1].run_id)
        if pending:
            (folder / PENDING).mkdir(exist_ok=True)
            write_file(folder / PENDING / f"{name}.json", pending.model_dump_json(indent=1))
    return workflow


async def _save_children(
    client: Client, folder: Path, runs: Sequence[WorkflowHistory]
) -> Mapping[tuple[str, str], bool]:
    """What the workflows had in flight that these runs started, and so on: each by its id and its
    first run, and whether it outlives its parent. Their ids are text of others, and not used as
    names of files.
    """
    found: dict[tuple[str, str], bool] = {}
    waiting = [(runs, child) for run in runs for child in _children_of(run)]
    while waiting:
        parents, (workflow_id, run_id) = waiting.pop()
        name = hashlib.sha256(f"{workflow_id}\0{run_id}".encode()).hexdigest()[:32]
        runs = await _fetch_from(client, workflow_id, run_id)
        child = await _save(client, folder, CHILDREN, name, runs)
        is_open = child is not None and child.status is Status.RUNNING
        has_ended = Workflow("", parents).status is not Status.RUNNING
        found[workflow_id, run_id] = is_open and has_ended
        waiting += [(runs, each) for run in runs for each in _children_of(run)]
    return found


def _children_of(run: WorkflowHistory) -> Iterator[tuple[str, str]]:
    for event in run.events:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            child = event.child_workflow_execution_started_event_attributes.workflow_execution
            yield child.workflow_id, child.run_id


def file_stem(workflow_id: str) -> str:
    """The prefix of the names of a workflow's files."""
    return quote(workflow_id, safe=_WRITTEN_AS_THEY_ARE)


def history_name(workflow_id: str, number: int) -> str:
    """The name of the file of one run."""
    return f"{file_stem(workflow_id)}.run-{number}.json"


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
    """All workflows of a folder, by their ids without the prefix."""
    found: dict[str, dict[int, WorkflowHistory]] = {}
    for file in sorted(folder.glob("*.json")):
        stem, _, number = file.stem.rpartition(".run-")
        history = WorkflowHistory.from_json(unquote(stem), read_file(file).decode())
        found.setdefault(stem, {})[int(number)] = history
    loaded = [
        Workflow(
            unquote(stem).removeprefix(prefix),
            tuple(runs[number] for number in sorted(runs)),
            converter,
            _load_pending(folder.parent / PENDING / f"{stem}.json"),
        )
        for stem, runs in found.items()
    ]
    return {workflow.workflow_id: workflow for workflow in loaded}


def _load_pending(file: Path) -> Pending | None:
    content = read_if_there(file)
    return Pending.model_validate_json(content) if content else None


def load_children(
    folder: Path, converter: DataConverter = pydantic_data_converter
) -> Sequence[Workflow]:
    """Each by the id in its first event, which its file's name need not have."""
    found = load_histories(folder, "", converter).values()
    return tuple(replace(child, workflow_id=_id_in(child.runs[0])) for child in found)


def _id_in(run: WorkflowHistory) -> str:
    return str(run.events[0].workflow_execution_started_event_attributes.workflow_id)
