"""A program that cannot do its work refuses to start, and says why."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.files import read_if_there
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from tests.chaos.video.evidence import VideoEvidence

MISUSED = 2
"""The exit code of a program whose settings are wrong."""


def refused_to_start(worker: str, sentence: str) -> Invariant:
    """A worker ended of itself, with the exit code of wrong settings, before it took any work; it
    left one line that says why.
    """

    @proof(f"refused_to_start[{worker}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        begun = evidence.first_entry(Event.STARTED, target=worker)
        gone = evidence.first_entry(Event.EXITED, pid=begun.pid) if begun else None
        if gone is None or gone.exit_code != MISUSED:
            yield f"{worker} did not end with exit code {MISUSED}"
            return
        if evidence.first_entry(Event.SIGNALED, target=worker):
            yield f"{worker} was ended by the suite"
        if evidence.first_entry(Event.READY, target=worker):
            yield f"{worker} took work"
        log = evidence.folder / "logs" / f"{worker}.log"
        said = (read_if_there(log) or b"").decode(errors="replace").splitlines()
        if said != [f"worker: {sentence}"]:
            yield f"{worker} said {said}, not just {sentence!r}"

    return judge
