"""Proofs that a dev server went down in the midst of work, once or again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.seen import lasted
from tests.chaos.video.evidence import VideoEvidence

SERVER = "temporal-server"


def killed_as_soon_as_it_answered(times: int, within_seconds: float) -> Invariant:
    """The server was killed so often, each time but the first right after it had come back, and
    came back for good.
    """

    @proof(f"killed_as_soon_as_it_answered[{times}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kills = _kills(evidence)
        if len(kills) != times:
            yield f"the server was killed {len(kills)} times, not {times}"
        for kill in kills[1:]:
            backs = [entry.at for entry in _answers(evidence) if entry.at < kill.at]
            if not backs or (kill.at - backs[-1]).total_seconds() > within_seconds:
                yield f"the server was not killed within {within_seconds:g} s of its return"
        if not kills or not any(entry.at > kills[-1].at for entry in _answers(evidence)):
            yield "the server did not come back for good"

    return judge


def all_were_in_hand(kinds: Sequence[str]) -> Invariant:
    """Every workflow had an activity in hand from before the server was killed until it was back;
    these kinds were among them.
    """

    @proof("all_were_in_hand")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kills = _kills(evidence)
        backs = [entry.at for entry in _answers(evidence) if kills and entry.at > kills[0].at]
        if not backs:
            yield "the server was not killed, or did not come back"
            return
        found: set[str] = set()
        for expected in evidence.specs:
            workflow = evidence.workflows.get(expected.workflow_id)
            activities = workflow.activities if workflow else ()
            held = {a.kind for a in activities if lasted(a, kills[0].at, backs[0])}
            found |= held
            if not held:
                yield f"{expected.workflow_id} had nothing in hand when the server was killed"
        yield from (f"no {kind} was in hand" for kind in kinds if kind not in found)

    return judge


def _kills(evidence: VideoEvidence) -> Sequence[Entry]:
    """Each SIGKILL that the server got and died of."""
    sent = [e for e in evidence.journal if (e.target, e.signal) == (SERVER, "SIGKILL")]
    ends = {e.pid: e.exit_code for e in evidence.journal if e.event is Event.EXITED}
    return [entry for entry in sent if ends.get(entry.pid) == -9]


def _answers(evidence: VideoEvidence) -> Sequence[Entry]:
    return [e for e in evidence.journal if e.event is Event.READY and e.target == SERVER]
