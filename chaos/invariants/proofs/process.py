"""Proofs that a process died or was paused at the planned time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.environment.memory import KERNEL, WATCHER
from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.exits import DEADLY_KINDS, DEADLY_SIGNALS
from chaos.invariants.recovery import took_over
from chaos.invariants.recovery.faults import is_of_a_fleet


def was_paused(target: str, at_least_seconds: float) -> Invariant:
    """Proof: a process was paused for at least so many seconds, survived, and continued."""

    @proof(f"was_paused[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        stops = _signals(evidence, target, "SIGSTOP")
        if not stops:
            yield f"{target} was not paused"
        elif not any(_stood_still(evidence, stop, at_least_seconds) for stop in stops):
            yield f"{target} was not paused for {at_least_seconds:g} s and then resumed alive"

    return judge


def died_of(target: str, exit_code: int) -> Invariant:
    """Proof: a process that had a fault ended with this exit code. One that was to end by itself
    got no signal from the harness.
    """

    @proof(f"died_of[{target}: {exit_code}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        fault = evidence.first_entry(Event.FAULT, target=target)
        if fault is None:
            yield f"{target} got no fault"
            return
        gone = evidence.first_entry(Event.EXITED, after=fault.at, target=target, pid=fault.pid)
        if gone is None:
            yield f"{target} was not seen to end"
        elif gone.exit_code != exit_code:
            yield f"{target} ended with code {gone.exit_code}, not {exit_code}"
        elif fault.kind in DEADLY_KINDS:
            for signaled in evidence.journal:
                if signaled.pid == gone.pid and signaled.signal in DEADLY_SIGNALS:
                    yield f"{target} got {signaled.signal}, and did not end by itself"

    return judge


def killed_while_open(workers: Sequence[str], workflow_id: str, kind: str) -> Invariant:
    """Proof: all these workers died of SIGKILL and were down at the same time, while an activity of
    this type of the workflow was in flight, by the history.
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
            yield f"{', '.join(workers)} were not down at the same time"
        if not _was_taken_over(evidence, workflow_id, kind, min(moments), max(moments)):
            yield f"{workflow_id} had no {kind} in flight when {', '.join(workers)} were killed"

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


def killed(evidence: Evidence, target: str, after: datetime | None = None) -> Entry | None:
    """The SIGKILL that a process got and died of."""
    kill = evidence.first_entry(Event.SIGNALED, after=after, target=target, signal="SIGKILL")
    return kill if kill and died_of_it(evidence, kill) else None


def died_of_it(evidence: Evidence, kill: Entry) -> Entry | None:
    """The end of a process after SIGKILL; only a supervisor knows its workers' exit codes."""
    gone = evidence.first_entry(Event.EXITED, after=kill.at, pid=kill.pid)
    codes = {-9, None} if is_of_a_fleet(kill.target or "") else {-9}
    return gone if gone and gone.exit_code in codes else None


def were_gone_at_once(evidence: Evidence, kills: Sequence[Entry]) -> bool:
    """Whether all of them had ended before any was started again."""
    ends = [gone for kill in kills if (gone := died_of_it(evidence, kill))]
    starts = [evidence.first_entry(Event.STARTED, after=k.at, target=k.target) for k in kills]
    last = max((gone.at for gone in ends), default=None)
    return last is not None and all(last < again.at for again in starts if again)


def lasted(activity: Activity, start: datetime, end: datetime) -> bool:
    """Whether an attempt began before and its activity ended after."""
    return (
        activity.started_at is not None
        and activity.closed_at is not None
        and activity.started_at < start
        and end < activity.closed_at
    )


def was_down(target: str, workflow_id: str) -> Invariant:
    """Proof: a process died of SIGKILL and was started again, and the workflow was open all that
    time.
    """

    @proof(f"was_down[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        kill = killed(evidence, target)
        gone = died_of_it(evidence, kill) if kill else None
        if not gone:
            yield f"{target} was not seen to die of SIGKILL"
            return
        back = evidence.first_entry(Event.READY, after=gone.at, target=target)
        if not back:
            yield f"{target} did not restart"
            return
        workflow = evidence.workflows.get(workflow_id)
        if (
            workflow is None
            or workflow.started_at > gone.at
            or (workflow.closed_at and workflow.closed_at < back.at)
        ):
            yield f"{workflow_id} was not open while {target} was down"

    return judge


def ran_out_of_memory(target: str) -> Invariant:
    """Proof: a process whose memory was limited was killed by an OOM killer, as that recorded, and
    was seen to end.
    """

    @proof(f"ran_out_of_memory[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        limited = [e for e in evidence.journal if e.kind == "out_of_memory" and e.target == target]
        if not limited:
            yield f"the memory of {target} was not limited"
            return
        told = [e for e in evidence.journal if e.kind in {KERNEL, WATCHER} and e.target == target]
        if not told:
            yield f"no OOM killer says that it ended {target}"
        for entry in told:
            if not evidence.first_entry(Event.EXITED, after=limited[0].at, pid=entry.pid):
                yield f"{target} (pid {entry.pid}) was not seen to end"

    return judge
