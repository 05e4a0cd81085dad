"""Artifacts are there, whole, and the ones that the workflow's own prompts asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from chaos.invariants import invariant
from chaos.invariants.doubt import of_unfinished
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.specs import VideoSpec
from workflows.models import Artifact, Progress


@invariant
def artifacts_exist_with_their_hash(evidence: VideoEvidence) -> Iterator[str]:
    """Every file that a result names is on disk with the size and hash it was given."""
    for expected, workflow in evidence.specified_workflows():
        progress = workflow.result(Progress)
        artifacts = progress.artifacts if progress else ()
        for artifact in artifacts:
            file = evidence.folder / "artifacts" / artifact.path
            if not file.is_file():
                yield f"{artifact.path} is missing"
            elif _hash(file.read_bytes()) != artifact.sha256:
                yield f"{artifact.path} is not what was made"
        if len(artifacts) != (due := sum(expected.due.values())):
            problem = f"{expected.workflow_id} has {len(artifacts)} files, not {due}"
            yield of_unfinished(workflow, problem)


@invariant
def artifacts_are_their_own(evidence: VideoEvidence) -> Iterator[str]:
    """Each file holds what the provider made for this workflow's prompt, in this workflow's place,
    and each video was started from this workflow's character.
    """
    made = {bill.sha256: bill.prompt for bill in evidence.billed}
    for expected, workflow in evidence.specified_workflows():
        progress = workflow.result(Progress)
        artifacts = progress.artifacts if progress else ()
        for artifact, prompt in zip(artifacts, expected.prompts, strict=False):
            if made.get(artifact.sha256) != prompt:
                yield f"{artifact.path} was made for {made.get(artifact.sha256)!r}, not {prompt!r}"
            if not artifact.path.startswith(f"{evidence.real_id(expected.workflow_id)}/"):
                yield f"{artifact.path} lies outside the folder of {expected.workflow_id}"
        if artifacts:
            yield from _foreign_characters(evidence, expected, artifacts[0])


def _foreign_characters(
    evidence: VideoEvidence, expected: VideoSpec, character: Artifact
) -> Iterator[str]:
    for request in evidence.received:
        if request.prompt in expected.video_prompts and request.image_sha256 != character.sha256:
            yield f"the video {request.prompt!r} was started from another character"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
