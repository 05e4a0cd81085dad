"""Proofs that a process died, or stood still, at the planned moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.exits import DEADLY_KINDS, DEADLY_SIGNALS
from chaos.invariants.proofs.seen import (
    died_of_it,
    were_gone_at_once,
)
from chaos.invariants.recovery import took_over


def was_paused(target: str, at_least_seconds: float) -> Invariant:
    """A process stood still for so long, lived, and went on."""

    @proof(f"was_paused[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        stops = _signals(evidence, target, "SIGSTOP")
        if not stops:
            yield f"{target} was not paused"
        elif not any(_stood_still(evidence, stop, at_least_seconds) for stop in stops):
            yield f"{target} was not paused for {at_least_seconds:g} s and then resumed alive"

    return judge


def died_of(target: str, exit_code: int) -> Invariant:
    """A process that a fault was announced for ended with that code. One that was to die of itself
    got no signal from the suite.
    """

    @proof(f"died_of[{target}: {exit_code}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        fault = evidence.first_entry(Event.FAULT, target=target)
        if fault is None:
            yield f"{target} was not struck"
            return
        gone = evidence.first_entry(Event.EXITED, after=fault.at, target=target, pid=fault.pid)
        if gone is None:
            yield f"{target} was not seen to end"
        elif gone.exit_code != exit_code:
            yield f"{target} ended with code {gone.exit_code}, not {exit_code}"
        elif fault.kind in DEADLY_KINDS:
            for signaled in evidence.journal:
                if signaled.pid == gone.pid and signaled.signal in DEADLY_SIGNALS:
                    yield f"{target} got {signaled.signal}, and did not end of itself"

    return judge


def killed_while_open(workers: Sequence[str], workflow_id: str, kind: str) -> Invariant:
    """All these workers died of SIGKILL and were gone at the same time, while an activity of that
    kind was in hand, by the history.
    """

    @proof(f"killed_while_open[{', '.join(workers)}: {kind}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        kills = []
        for worker in workers:
            deaths = [k for k in _signals(evidence, worker, "SIGKILL") if died_of_it(evidence, k)]
            if not deaths:
                yield f"{worker} was not seen to die of SIGKILL"
            kills += deaths
        moments = [kill.at for kill in kills]
        if not moments:
            return
        if not were_gone_at_once(evidence, kills):
            yield f"{', '.join(workers)} were not gone at the same time"
        if not _was_taken_over(evidence, workflow_id, kind, min(moments), max(moments)):
            yield f"{workflow_id} had no {kind} in hand when {', '.join(workers)} were killed"

    return judge


def _signals(evidence: Evidence, target: str, signal: str) -> list[Entry]:
    return [
        entry
        for entry in evidence.journal
        if entry.event is Event.SIGNALED and entry.target == target and entry.signal == signal
    ]


def _stood_still(evidence: Evidence, stop: Entry, at_least_seconds: float) -> bool:
    """Whether it was resumed so much later, and had not ended."""
    gone = evidence.first_entry(Event.EXITED, after=stop.at, pid=stop.pid)
    resumed = evidence.first_entry(
        Event.SIGNALED, after=stop.at, target=stop.target, pid=stop.pid, signal="SIGCONT"
    )
    if resumed is None or (gone is not None and gone.at < resumed.at):
        return False
    return (resumed.at - stop.at).total_seconds() >= at_least_seconds


def _was_taken_over(
    evidence: Evidence, workflow_id: str, kind: str, first: datetime, last: datetime
) -> bool:
    """Whether an attempt that began before was lost with its worker, and followed by another."""
    return any(
        activity.kind == kind
        and activity.scheduled_at < first
        and activity.started_at is not None
        and activity.started_at > last
        and took_over(activity)
        for activity in evidence.workflows[workflow_id].activities
    )
