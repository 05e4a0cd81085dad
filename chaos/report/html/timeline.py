"""What happened in a case, in seconds from its begin: from evidence to values, and nothing drawn.

The begin is the journal's first entry. Three sources meet here: the journal tells of faults and
processes, the histories of workflows, the bills of what was paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.faults import ended_at
from chaos.report.html.attempts import failed_in
from chaos.report.html.logs import Line
from chaos.report.html.processes import TOGETHER, processes
from chaos.report.html.values import Clock, Happening, Span, Timeline, plain
from chaos.report.html.workflows import workflows


def timeline(
    evidence: Evidence, lines: Sequence[Line], recovered_s: Mapping[datetime, float]
) -> Timeline:
    """All of a case; `recovered_s` says how long the recovery from each fault took.

    Raises ValueError where the journal tells nothing.
    """
    if not evidence.journal:
        raise ValueError("its journal is missing or empty")
    clock = Clock.of(evidence)
    kinds = tuple(dict.fromkeys(a.kind for w in evidence.workflows.values() for a in w.activities))
    return Timeline(
        first=_first(evidence, clock),
        last=clock.last,
        faults=tuple(_faults(evidence, clock, recovered_s)),
        processes=tuple(processes(evidence, clock)),
        workflows=tuple(workflows(evidence, clock, failed_in(lines))),
        happenings=tuple(_happenings(evidence, clock)),
        kinds=kinds,
    )


def _first(evidence: Evidence, clock: Clock) -> float:
    """When it becomes worth watching: before that the stack starts."""
    events = {Event.WORKFLOW, Event.FAULT, Event.TROUBLE}
    begun = next((clock(e.at) for e in evidence.journal if e.event in events), 0.0)
    return max(0.0, begun - (clock.last - begun) * 0.02)


def _faults(
    evidence: Evidence, clock: Clock, recovered_s: Mapping[datetime, float]
) -> Iterator[Span]:
    for entry in evidence.journal:
        if entry.event is not Event.FAULT:
            continue
        start, name = clock(entry.at), f"{plain(entry.kind)} {entry.target}"
        over = ended_at(evidence, entry) or _last_refusal(evidence, entry)
        recovery = recovered_s.get(entry.at)
        if over:
            end, words = clock(over), f"over at {clock(over):.1f} s"
        elif recovery is not None:
            end, words = start + recovery, "over when its work had been redone"
        else:
            end, words = start, "its end is not on record"
        place = f", boundary {entry.boundary}" if entry.boundary else ""
        detail = f"fault: {plain(entry.kind)} at {entry.target}{place}, at {start:.1f} s; {words}"
        yield Span(start, min(max(start, end), clock.last), "fault", name, detail)


def _last_refusal(evidence: Evidence, fault: Entry) -> datetime | None:
    """When a service last did as the fault had it: its own faults are used up, never reverted."""
    times = [r.at for r in evidence.refusals if r.service == fault.target and r.at >= fault.at]
    return max(times, default=None)


def _happenings(evidence: Evidence, clock: Clock) -> Iterator[Happening]:
    """The journal without what was sampled, and what ended with the experiment."""
    hits = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    for entry in evidence.journal:
        late = entry.at > clock.end and entry.event is not Event.TROUBLE
        words = _words(entry)
        if words and not late and not _is_said(entry, hits):
            yield Happening(clock(entry.at), str(entry.event), words)


def _is_said(entry: Entry, hits: Sequence[Entry]) -> bool:
    """Whether another entry says it: a signal is the fault before it, ready is ready."""
    if entry.event is Event.SIGNALED:
        return any(
            hit.at <= entry.at <= hit.at + TOGETHER and hit.target == entry.target for hit in hits
        )
    is_ready = entry.event is Event.STAGE and " is ready " in entry.text
    return is_ready or entry.event in {Event.PROGRESS, Event.ENDING}


def _words(entry: Entry) -> str:
    name = f"{entry.target}{f' (pid {entry.pid})' if entry.pid else ''}"
    code = "" if entry.exit_code is None else f" with code {entry.exit_code}"
    place = f", boundary {entry.boundary}" if entry.boundary else ""
    words = {
        Event.FAULT: f"fault: {plain(entry.kind)} at {name}{place}",
        Event.HEALED: f"fault reverted: {entry.target}",
        Event.EXITED: f"{name} ended{code}",
        Event.STARTED: f"{name} is started",
        Event.READY: f"{name} is ready",
        Event.WORKFLOW: f"workflow {entry.workflow_id} is started",
        Event.TROUBLE: f"trouble: {entry.text}",
    }
    return words.get(entry.event, entry.text)
