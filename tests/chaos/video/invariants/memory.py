"""That a worker died for want of memory, and of what."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaos.environment.memory import KERNEL, WATCHER
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call


def died_out_of_memory(workflow_id: str, call: Call, activity: str) -> Invariant:
    """A worker of limited memory was sent a reply to this call that did not fit. The OOM killer
    says that it ended it, it was seen to end, and the step was lost with it.
    """

    @proof(f"died_out_of_memory[{call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        fault = next((e for e in evidence.journal if e.kind == "out_of_memory"), None)
        if fault is None:
            yield "no worker's memory was limited"
            return
        answers = [
            evidence.answers.get(request.request_id)
            for request in evidence.received
            if request.call is call
        ]
        if not any(answer and answer.kind == "large" for answer in answers):
            yield f"no {call} request got a large reply"
        struck = next((e for e in evidence.journal if e.kind in {KERNEL, WATCHER}), None)
        if struck is None:
            yield "no OOM killer says that it ended the worker"
            return
        gone = evidence.first_entry(Event.EXITED, after=fault.at, pid=struck.pid)
        if gone is None:
            yield f"pid {struck.pid} was not seen to end"
        lost = [
            each.last_failure.message
            for each in evidence.workflows[workflow_id].activities
            if each.kind == activity and each.last_failure
        ]
        named = rf"its worker {struck.pid}@.* was lost \(SIGKILL\)"
        if not any(re.match(named, message) for message in lost):
            yield f"{workflow_id} did not lose its {activity} with pid {struck.pid}"

    return judge
