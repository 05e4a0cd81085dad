"""What the proofs look for in the provider's records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Billed, Call, Received


def was_left_unanswered(evidence: VideoEvidence, request: Received, at: datetime) -> bool:
    """Whether a request had no answer by then, and its client did not live to see one."""
    answer = evidence.answers.get(request.request_id)
    return answer is None or (answer.at > at and not answer.client_connected)


def video(evidence: VideoEvidence, prompt: str) -> Billed | None:
    """The first bill of a video's prompt."""
    return next((bill for bill in evidence.billed if bill.prompt == prompt), None)


def polls_of(evidence: VideoEvidence, bill: Billed) -> list[Received]:
    """The requests that asked whether a billed video is made."""
    return [
        request
        for request in evidence.received
        if request.call is Call.POLL and request.operation == bill.operation
    ]


PAID = frozenset({Call.IMAGE, Call.VIDEO_START})


def paid_requests_of(evidence: VideoEvidence, workflow_id: str) -> Sequence[Received]:
    """The requests of a workflow that cost money."""
    prompts = {p for e in evidence.specs if e.workflow_id == workflow_id for p in e.prompts}
    return [r for r in evidence.received if r.call in PAID and r.prompt in prompts]
