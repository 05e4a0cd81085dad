from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.evidence.bills import Charge
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Billed, Call, Item, Received
from tests.chaos.video.invariants.files import (
    artifacts_are_their_own,
    artifacts_exist_with_their_hash,
)
from tests.unit.kept import load
from tests.unit.video.edits import of, records


@pytest.fixture
def copied(concurrency: VideoEvidence, tmp_path: Path) -> VideoEvidence:
    """The same evidence in a folder that a test may change."""
    shutil.copytree(concurrency.folder, tmp_path / "case")
    return load(tmp_path / "case")


@pytest.mark.parametrize("name", ["concurrency", "checkpoint", "worker_crash", "retry_config"])
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    evidence = request.getfixturevalue(name)
    assert artifacts_exist_with_their_hash.examine(evidence).problems == ()
    assert artifacts_are_their_own.examine(evidence).problems == ()


def test_a_missing_file_fails(copied: VideoEvidence) -> None:
    (copied.folder / "artifacts" / "load-001" / "video-001.mp4").unlink()

    finding = artifacts_exist_with_their_hash.examine(copied)

    assert finding.problems == ("load-001/video-001.mp4 is missing",)


def test_an_altered_file_fails(copied: VideoEvidence) -> None:
    with (copied.folder / "artifacts" / "load-001" / "character.png").open("ab") as file:
        file.write(b"!")

    finding = artifacts_exist_with_their_hash.examine(copied)

    assert finding.problems == ("load-001/character.png is not what was made",)


def test_a_file_that_no_result_names_is_missed(concurrency: VideoEvidence) -> None:
    more = Charge(item=Item.VIDEO, key="one more")
    spec = [e.model_copy(update={"charges": (*e.charges, more)}) for e in concurrency.specs]

    finding = artifacts_exist_with_their_hash.examine(replace(concurrency, specs=spec))

    assert finding.verdict is Verdict.FAILED


def test_a_file_made_for_another_prompt_fails(concurrency: VideoEvidence) -> None:
    mixed_up = records(
        concurrency, of(Billed), prompt=lambda prompt: prompt.replace("load-001", "load-002")
    )

    finding = artifacts_are_their_own.examine(mixed_up)

    assert finding.verdict is Verdict.FAILED


def test_a_video_started_from_another_character_fails(concurrency: VideoEvidence) -> None:
    foreign = records(concurrency, of(Received, call=Call.VIDEO_START), image_sha256="0" * 64)

    finding = artifacts_are_their_own.examine(foreign)

    assert "from another character" in finding.problems[0]
