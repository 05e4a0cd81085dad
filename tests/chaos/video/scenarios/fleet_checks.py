"""How a supervisor's workers were killed, and that they had work in flight: by the journal, by the
histories, which name the worker that an attempt was lost with, and by the supervisor's own log.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from chaos.environment.server import SERVER
from chaos.evidence.files import read_if_there
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.process import killed
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.invariants.seen import polls_of, video, was_left_unanswered

AT_ONCE_SECONDS = 1.0
"""A fleet's next worker takes longer until it has anything in flight."""

_LOST = re.compile(r"its worker (\d+)@")
_LOGGED_LOSS = re.compile(r"\(pid (\d+)\) is lost \(SIGKILL\)")
_LOGGED_HANG = re.compile(r"\(pid (\d+)\) hangs; it is killed")


def workers_were_killed_at_once(fleet: str, count: int) -> Invariant:
    """So many of a fleet's workers got SIGKILL at the same time and died of it, and each of them
    had a wait for a video in flight.
    """

    @proof(f"workers_were_killed_at_once[{fleet}: {count}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kills = _kills(evidence, fleet)
        if len({kill.pid for kill in kills}) != count:
            yield f"{len(kills)} worker(s) of {fleet} were killed, not {count}"
            return
        if (kills[-1].at - kills[0].at).total_seconds() > AT_ONCE_SECONDS:
            yield f"the workers of {fleet} were not killed at once"
        yield from _not_dead(evidence, fleet, kills)
        lost = _named_as_lost(evidence, "await_video")
        for kill in kills:
            if kill.pid not in lost:
                yield f"pid {kill.pid} had no wait in flight when it was killed"

    return judge


def died_again_and_again(fleet: str, workflow_id: str, kills_while_awaited: int) -> Invariant:
    """A fleet's only worker was killed while its image was asked for; then its successors were, so
    often in a row, each as soon as it had the wait for the video in flight.
    """

    @proof(f"died_again_and_again[{fleet}: {kills_while_awaited}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        kills = _kills(evidence, fleet)
        if len({kill.pid for kill in kills}) != 1 + kills_while_awaited:
            yield f"{len(kills)} workers were killed, not {1 + kills_while_awaited}"
            return
        yield from _not_dead(evidence, fleet, kills)
        if not _was_in_flight(evidence, spec.character_prompt, kills[0]):
            yield "no image was asked for when the first worker was killed"
        bill = video(evidence, spec.video_prompts[0])
        polls = polls_of(evidence, bill) if bill else []
        for before, kill in pairwise(kills):
            if not any(before.at < poll.at < kill.at for poll in polls):
                yield f"pid {kill.pid} did not await the video before it was killed"
        if not any(poll.at > kills[-1].at for poll in polls):
            yield "nobody awaited the video after the last kill"

    return judge


def hung_until_replaced(fleet: str, most_seconds: float) -> Invariant:
    """A fleet's worker hung while it had a wait for a video in flight. The fleet said so, and it
    was gone within that time.
    """

    @proof(f"hung_until_replaced[{fleet}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        hang = _first_fault(evidence, fleet, "hang")
        if hang is None:
            yield f"no worker of {fleet} was made to hang"
            return
        gone = evidence.first_entry(Event.HEALED, after=hang.at, target=f"{fleet}-worker")
        if gone is None or (gone.at - hang.at).total_seconds() > most_seconds:
            yield f"pid {hang.pid} was not gone within {most_seconds:g} s"
        if hang.pid not in _pids(_LOGGED_HANG, evidence, fleet):
            yield f"{fleet} did not say that pid {hang.pid} hangs"
        if hang.pid not in _named_as_lost(evidence, "await_video"):
            yield f"pid {hang.pid} had no wait in flight when it hung"

    return judge


def worker_and_server_were_killed(fleet: str, at_least_seconds: float) -> Invariant:
    """A fleet's worker with a wait in flight and the server got SIGKILL at once and died of it; the
    server was down for so long, and came back.
    """

    @proof(f"worker_and_server_were_killed[{fleet}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kills = _kills(evidence, fleet)
        server = killed(evidence, SERVER)
        if len(kills) != 1 or server is None:
            yield f"a worker of {fleet} and the server were not both killed"
            return
        if abs((kills[0].at - server.at).total_seconds()) > AT_ONCE_SECONDS:
            yield "the worker and the server were not killed at once"
        yield from _not_dead(evidence, fleet, kills)
        back = evidence.first_entry(Event.READY, after=server.at, target=SERVER)
        if back is None or (back.at - server.at).total_seconds() < at_least_seconds:
            yield f"the server was not down for {at_least_seconds:g} s and then back"
        if kills[0].pid not in _named_as_lost(evidence, "await_video"):
            yield f"pid {kills[0].pid} had no wait in flight when it was killed"

    return judge


def _kills(evidence: VideoEvidence, fleet: str) -> Sequence[Entry]:
    """Each planned SIGKILL of a worker, in their order."""
    return [
        entry
        for entry in evidence.journal
        if entry.event is Event.SIGNALED
        and entry.signal == "SIGKILL"
        and entry.target == f"{fleet}-worker"
    ]


def _first_fault(evidence: VideoEvidence, fleet: str, kind: str) -> Entry | None:
    return next(
        (
            entry
            for entry in evidence.journal
            if entry.event is Event.FAULT
            and entry.kind == kind
            and entry.target == f"{fleet}-worker"
        ),
        None,
    )


def _not_dead(evidence: VideoEvidence, fleet: str, kills: Sequence[Entry]) -> Iterator[str]:
    """Those that were not seen to end, or that their parent does not call lost by SIGKILL."""
    lost = _pids(_LOGGED_LOSS, evidence, fleet)
    for kill in kills:
        if evidence.first_entry(Event.EXITED, after=kill.at, pid=kill.pid) is None:
            yield f"pid {kill.pid} was not seen to end"
        if kill.pid not in lost:
            yield f"{fleet} does not say that pid {kill.pid} died of SIGKILL"


def _pids(words: re.Pattern[str], evidence: VideoEvidence, fleet: str) -> Collection[int]:
    """The processes of which a fleet's log says this."""
    log = evidence.folder / "logs" / f"{fleet}.log"
    text = (read_if_there(log) or b"").decode(errors="replace")
    return {int(pid) for pid in words.findall(text)}


def _named_as_lost(evidence: VideoEvidence, kind: str) -> Collection[int]:
    """The workers with which the last attempt but one of an activity was lost, by the histories."""
    messages = [
        activity.last_failure.message
        for workflow in evidence.workflows.values()
        for activity in workflow.activities
        if activity.kind == kind and activity.last_failure
    ]
    return {int(found[1]) for message in messages if (found := _LOST.match(message))}


def _was_in_flight(evidence: VideoEvidence, prompt: str, kill: Entry) -> bool:
    return any(
        request.at < kill.at and was_left_unanswered(evidence, request, kill.at)
        for request in _images(evidence, prompt)
    )


def _images(evidence: VideoEvidence, prompt: str) -> Sequence[Received]:
    return [r for r in evidence.received if (r.call, r.prompt) == (Call.IMAGE, prompt)]
