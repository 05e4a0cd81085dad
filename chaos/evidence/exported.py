"""Histories in files: as `temporal workflow show --output json` and Temporal's UI export them, and
as a case keeps them; and what a worker had got of one at each of its workflow tasks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.evidence.files import read_file, read_start

_STARTED = "WORKFLOW_EXECUTION_STARTED"
_TASK_STARTED = "WORKFLOW_TASK_STARTED"
_TASK_ENDS = frozenset({f"WORKFLOW_TASK_{each}" for each in ("COMPLETED", "FAILED", "TIMED_OUT")})
_HEAD_BYTES = 4096


class HistoryError(Exception):
    """A file or folder has no history that a server could have sent. One sentence says why."""


@dataclass(frozen=True)
class Exported:
    """One run of a workflow, as it stands in its file."""

    file: Path
    workflow_id: str
    run_id: str
    kind: str
    events: Sequence[Mapping[str, Any]]

    @property
    def lengths(self) -> Sequence[int]:
        """How many events a worker had at each workflow task that it got, and how many there are in
        all. The server sends a history up to the start of the task: what the task led to is not
        there yet, so replaying it runs the code on from there as if it were not replayed.
        """
        tasks = [n for n, event in enumerate(self.events, 1) if _kind(event) == _TASK_STARTED]
        whole = len(self.events)
        return tasks if tasks[-1:] == [whole] else [*tasks, whole]

    def up_to(self, length: int) -> str:
        """So many of its events, as JSON."""
        return json.dumps({"events": self.events[:length]})


def find_exported(paths: Sequence[Path], left_out: Collection[Path] = ()) -> Iterator[Exported]:
    """All histories in these files and below these folders, except in the folders that are left
    out. Of a folder, JSON files of other content are passed over. Raises HistoryError, also where
    one of the paths has none.
    """
    for path in paths:
        if not path.exists():
            raise HistoryError(f"there is no file or folder {path}; export histories to it first.")
        if path.is_file():
            yield _read(path)
            continue
        found = [
            file
            for file in sorted(path.rglob("*.json"))
            if not any(file.is_relative_to(folder) for folder in left_out) and _is_history(file)
        ]
        if not found:
            raise HistoryError(
                f"{path} has no history: name a folder of files that `temporal workflow show "
                "--output json` wrote, or a run's folder, such as reports/latest."
            )
        yield from map(_read, found)


def _is_history(file: Path) -> bool:
    """By its first event, so that a damaged history is not passed over."""
    if file.is_symlink() or not file.is_file():
        return False
    try:
        head = read_start(file, _HEAD_BYTES)
    except OSError as error:
        raise HistoryError(f"{file} cannot be read ({error.strerror}).") from None
    return b'"events"' in head and b'"eventType"' in head


def _read(file: Path) -> Exported:
    try:
        content = json.loads(read_file(file))
    except OSError as error:
        raise HistoryError(f"{file} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise _refused(file, f"it is no JSON ({error})") from None
    events = content.get("events") if isinstance(content, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise _refused(file, "it has no list of events")
    if not events or _kind(events[0]) != _STARTED:
        raise _refused(file, "it does not begin with the start of a workflow")
    _require_order(file, events)
    started = _part(events[0], "workflowExecutionStartedEventAttributes")
    run_id, kind = started.get("originalExecutionRunId"), _part(started, "workflowType").get("name")
    if not (run_id and kind and isinstance(run_id, str) and isinstance(kind, str)):
        raise _refused(file, "its first event names no run or no workflow type")
    return Exported(file, str(started.get("workflowId") or file.stem), run_id, kind, events)


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A message within another; an empty one where anything else stands."""
    part = of.get(name)
    return part if isinstance(part, dict) else {}


def _require_order(file: Path, events: Sequence[Mapping[str, Any]]) -> None:
    """An SDK's replayer may end or hang at a history that no server makes."""
    for number, event in enumerate(events, 1):
        if str(event.get("eventId")) != str(number):
            raise _refused(file, f"event {event.get('eventId')} stands where {number} should")
        follows = _kind(events[number]) if number < len(events) else None
        if _kind(event) == _TASK_STARTED and follows not in {None, *_TASK_ENDS}:
            raise _refused(file, f"workflow task {number} has no end before event {number + 1}")


def _kind(event: Mapping[str, Any]) -> str:
    """Old exports have the type as `WorkflowTaskStarted`."""
    name = str(event.get("eventType", ""))
    if name.startswith("EVENT_TYPE_"):
        return name.removeprefix("EVENT_TYPE_")
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in name)
    return words.removeprefix("_").upper()


def _refused(file: Path, why: str) -> HistoryError:
    return HistoryError(f"{file} is no history of a workflow: {why}; export it again.")
