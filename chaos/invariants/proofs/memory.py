"""Proof that a worker died for want of memory."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.environment.memory import KERNEL, WATCHER
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof


def ran_out_of_memory(target: str) -> Invariant:
    """A process whose memory was limited was ended by an OOM killer, which says so, and was seen to
    end.
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
