"""The journal in words, for whom a drawing does not serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.report.html.processes import TOGETHER
from chaos.report.html.values import Clock, Happening, plain


def happenings(evidence: Evidence, clock: Clock) -> Iterator[Happening]:
    """The journal without what was sampled, and what ended with the experiment."""
    blows = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    for entry in evidence.journal:
        late = entry.at > clock.end and entry.event is not Event.TROUBLE
        if not late and not _is_told(entry, blows):
            yield Happening(clock(entry.at), str(entry.event), _words(entry))


def _is_told(entry: Entry, blows: Sequence[Entry]) -> bool:
    """Whether another entry says it: a signal is the fault before it, ready is ready."""
    if entry.event is Event.SIGNALED:
        return any(
            blow.at <= entry.at <= blow.at + TOGETHER and blow.target == entry.target
            for blow in blows
        )
    is_ready = entry.event is Event.STAGE and " is ready " in entry.text
    return is_ready or entry.event in {Event.PROGRESS, Event.ENDING}


def _words(entry: Entry) -> str:
    name = f"{entry.target}{f' (pid {entry.pid})' if entry.pid else ''}"
    code = "" if entry.exit_code is None else f" with code {entry.exit_code}"
    place = f", boundary {entry.boundary}" if entry.boundary else ""
    told = {
        Event.FAULT: f"fault: {plain(entry.kind)} at {name}{place}",
        Event.HEALED: f"{entry.target} is healed",
        Event.EXITED: f"{name} ended{code}",
        Event.STARTED: f"{name} is started",
        Event.READY: f"{name} is ready",
        Event.WORKFLOW: f"workflow {entry.workflow_id} is started",
        Event.TROUBLE: f"trouble: {entry.text}",
    }
    return told.get(entry.event, entry.text)
