"""A deploy counts only where the old build was at work and the new one was there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.scenarios.worker_stop_deploys import (
    answered_after_sigterm,
    went_on_under_the_new_build,
)

RESTART = "restart-single"
MOMENT = timedelta(milliseconds=5)


def _deployed(  # noqa: PLR0913 - each is named by its caller
    evidence: VideoEvidence,
    *,
    new: datetime,
    told: datetime,
    gone: datetime,
    version: str = "new",
    exit_code: int = 0,
) -> VideoEvidence:
    """The run as if a supervisor of the old build had been replaced at these times."""
    journal = [
        Entry(at=new, event=Event.READY, target="worker-1", version=version),
        Entry(at=told, event=Event.SIGNALED, target="fleet-1", signal="SIGTERM"),
        Entry(at=gone, event=Event.EXITED, target="fleet-1", exit_code=exit_code),
    ]
    return replace(evidence, journal=sorted(journal, key=lambda entry: entry.at))


@pytest.mark.parametrize(
    ("new", "gone", "version", "problem"),
    [
        (0.1, 0.2, "new", ""),
        (0.2, 0.1, "new", "the new build was not there"),
        (0.1, 0.2, "old", "the new build was not there"),
        (-0.2, -0.1, "new", "was not open from before the deploy"),
        (0.1, 1.1, "new", "was not open from before the deploy"),
    ],
)
def test_the_new_build_went_on(
    server_restart: VideoEvidence, new: float, gone: float, version: str, problem: str
) -> None:
    """The times are shares of that in which the workflow was open."""
    workflow = server_restart.workflows[RESTART]
    assert workflow.closed_at
    began, lasted = workflow.started_at, workflow.closed_at - workflow.started_at
    deployed = _deployed(
        server_restart,
        new=began + new * lasted,
        told=began,
        gone=began + gone * lasted,
        version=version,
    )

    (told,) = went_on_under_the_new_build(RESTART).examine(deployed).problems or ("",)

    assert problem in told
    assert bool(problem) == bool(told)


def test_a_workflow_that_is_not_there_went_on_nowhere(server_restart: VideoEvidence) -> None:
    at = server_restart.workflows[RESTART].started_at
    deployed = _deployed(server_restart, new=at, told=at, gone=at + MOMENT)

    found = went_on_under_the_new_build("none").examine(deployed)

    assert found.verdict is Verdict.UNKNOWN


def test_an_answer_after_the_stop_is_proven(server_restart: VideoEvidence) -> None:
    image = next(r for r in server_restart.received if r.call is Call.IMAGE)
    answered = server_restart.answers[image.request_id].at
    check = answered_after_sigterm(image.prompt or "")

    def found(told: datetime, gone: datetime, exit_code: int = 0) -> VideoEvidence:
        return _deployed(server_restart, new=told, told=told, gone=gone, exit_code=exit_code)

    between, after = image.at + (answered - image.at) / 2, answered + MOMENT
    assert check.examine(found(between, after)).problems == ()
    soon = between + MOMENT / 1000
    assert soon < answered
    for told, gone in ((image.at - MOMENT, after), (after, after + MOMENT), (between, soon)):
        (problem,) = check.examine(found(told, gone)).problems
        assert problem == "no image was being made when the old build was told to stop"
    (problem,) = check.examine(found(between, after, exit_code=-9)).problems
    assert "did not end in order" in problem
    assert (
        "no image" in answered_after_sigterm("another").examine(found(between, after)).problems[0]
    )
