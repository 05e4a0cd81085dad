"""What happened in a case, in seconds from its begin: from evidence to values, and nothing drawn.

The begin is the journal's first entry. Three witnesses meet here: the journal tells of faults and
processes, the histories of workflows, the bills of what was paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.faults import ended_at
from chaos.report.html.attempts import seen_in
from chaos.report.html.happenings import happenings
from chaos.report.html.logs import Line
from chaos.report.html.processes import processes
from chaos.report.html.rows import workflows
from chaos.report.html.values import Clock, Span, Timeline, plain


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
        workflows=tuple(workflows(evidence, clock, seen_in(lines))),
        happenings=tuple(happenings(evidence, clock)),
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
            end, words = start + recovery, "over when its work was done again"
        else:
            end, words = start, "a moment only, or never seen to be over"
        place = f", boundary {entry.boundary}" if entry.boundary else ""
        detail = f"fault: {plain(entry.kind)} at {entry.target}{place}, at {start:.1f} s; {words}"
        yield Span(start, min(max(start, end), clock.last), "fault", name, detail)


def _last_refusal(evidence: Evidence, fault: Entry) -> datetime | None:
    """When a service last did as the fault had it: its own faults are used up, never healed."""
    times = [r.at for r in evidence.refusals if r.service == fault.target and r.at >= fault.at]
    return max(times, default=None)
