"""Evidence of the video system's recorded runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chaos.evidence.bills import Mode
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.target import VIDEO

EVIDENCE = Path(__file__).parents[1] / "data" / "evidence"


def kept(scenario: str, case: str) -> VideoEvidence:
    """What a case of a recorded run left behind."""
    return load(EVIDENCE / scenario / case)


def load(folder: Path) -> VideoEvidence:
    """Evidence of the video system, read as its target reads it."""
    evidence = VIDEO.load_evidence(folder)
    assert isinstance(evidence, VideoEvidence)
    return evidence


def as_live(evidence: VideoEvidence) -> VideoEvidence:
    """As a real provider leaves it: nobody shows who polled."""
    shown = [
        record
        for record in evidence.records
        if not (isinstance(record, Received) and record.call is Call.POLL)
    ]
    billing = VIDEO.billing.model_copy(update={"mode": Mode.LIVE})
    return replace(evidence, records=shown, billing=billing)
