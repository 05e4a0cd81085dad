"""Evidence of the video system's recorded runs."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.video.evidence import VideoEvidence
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
