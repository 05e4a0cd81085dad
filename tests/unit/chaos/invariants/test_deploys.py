"""What must hold of a deploy: evidence made by hand of which version did what, and its breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import VersioningBehavior, WorkflowTaskFailedCause

from chaos.environment.versions import Version, Versions
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, Late
from chaos.invariants.builds import Builds, is_pinned
from chaos.invariants.deploys import (
    fails_as_planned,
    no_version_is_removed_early,
    pinned_stay,
    upgrading_move,
)
from chaos.invariants.proofs.deploys import ran_under, stayed_on, was_not_deterministic, went_on
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.made_history import Made, at, evidence_of, refused

VERSIONS = Versions(
    old=Version(settings={"V": "1"}, build_id="1.0"),
    new=Version(settings={"V": "2"}, build_id="2.0"),
    broken=Version(settings={"V": "3"}, build_id="2.1"),
    deployment="shop",
)
PIDS = {"old": 11, "new": 12, "broken": 13}
BUILDS = {str(name): each.build_id for name, each in VERSIONS.all.items()}
AUTO = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
PINNED = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
NOT_DETERMINISTIC = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
OTHER = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE


def _task(made: Made, version: str, seconds: float, behavior: int | None = None) -> Made:
    """A workflow task that a worker of this version did; versioned if it has a behavior."""
    started = made.add("WORKFLOW_TASK_STARTED", seconds)
    done = made.add("WORKFLOW_TASK_COMPLETED", seconds + 0.1)
    attributes = done.workflow_task_completed_event_attributes
    attributes.started_event_id = started.event_id
    attributes.identity = f"{PIDS[version]}@host"
    if behavior is not None:
        attributes.versioning_behavior = behavior  # type: ignore[assignment]  # of an enum
        attributes.deployment_version.deployment_name = "shop"
        attributes.deployment_version.build_id = BUILDS[version]
    return made


def _failed(made: Made, version: str, seconds: float, cause: int = NOT_DETERMINISTIC) -> Made:
    made.task_failed(cause, refused("no such command"), seconds)
    attributes = made.events[-1].workflow_task_failed_event_attributes
    attributes.identity = f"{PIDS[version]}@host"
    return made


def _ready(version: str, seconds: float = 0) -> Entry:
    return Entry(
        at=at(seconds),
        event=Event.READY,
        target=f"worker-{PIDS[version]}",
        pid=PIDS[version],
        version=version,
        identities=(f"{PIDS[version]}@host",),
    )


ALL_READY = tuple(map(_ready, PIDS))


def _routed(version: str, seconds: float) -> Sequence[Entry]:
    fields = {"target": "shop", "version": version}
    return (
        Entry(at=at(seconds), event=Event.FAULT, kind="set_current", **fields),
        Entry(at=at(seconds + 0.5), event=Event.HEALED, **fields),
    )


def _evidence(made: Made | Workflow, *more: Entry) -> Evidence:
    workflow = made.workflow() if isinstance(made, Made) else made
    return replace(evidence_of(workflow), journal=(*ALL_READY, *more))


def _problem(check: Invariant, evidence: Evidence) -> str:
    finding = check.examine(evidence)
    assert finding.verdict is check.broken
    (problem,) = finding.problems
    return problem


def _holds(check: Invariant, evidence: Evidence) -> None:
    finding = check.examine(evidence)
    assert finding.verdict is Verdict.PASSED, finding.problems


def test_the_version_of_a_task_is_known_by_its_build_or_its_worker() -> None:
    made = _task(_task(_task(Made(), "old", 1), "old", 2, AUTO), "new", 3, AUTO)
    _task(made, "old", 4)
    made.events[-1].workflow_task_completed_event_attributes.identity = "77@elsewhere"

    builds = Builds.of(_evidence(made), VERSIONS)

    assert builds.path(made.workflow()) == ["old", "new", None]


def test_an_identity_that_workers_of_two_versions_had_is_nobodys() -> None:
    both = [
        each.model_copy(update={"identities": ("the-shop",)})
        for each in (_ready("old"), _ready("new"))
    ]
    evidence = replace(evidence_of(Made().workflow()), journal=tuple(both))

    assert Builds.of(evidence, VERSIONS).of_identity("the-shop") is None


def test_a_workflow_that_went_on_under_the_new_version_proves_a_deploy() -> None:
    _holds(went_on(VERSIONS, "old", "new"), _evidence(_task(_task(Made(), "old", 1), "new", 2)))


@pytest.mark.parametrize(
    "order",
    [("old", "old"), ("new", "new"), ("new", "old"), ("broken", "new"), ("old", "broken")],
)
def test_a_deploy_that_met_no_open_workflow_is_unknown(order: tuple[str, str]) -> None:
    made = _task(_task(Made(), order[0], 1), order[1], 2)

    assert "the deploy met none" in _problem(went_on(VERSIONS, "old", "new"), _evidence(made))


def test_of_each_version_a_workflow_must_have_run_under_it_alone_after_the_routing() -> None:
    check = ran_under(VERSIONS, "new")
    late = _task(Made(), "new", 1, AUTO)

    _holds(check, _evidence(late, *_routed("new", -5)))
    assert "ran under the version new" in _problem(check, _evidence(late, *_routed("new", 1)))
    mixed = _task(_task(Made(), "old", 1, AUTO), "new", 2, AUTO)
    assert "ran under the version new" in _problem(check, _evidence(mixed, *_routed("new", -5)))


def test_a_pinned_workflow_must_have_been_at_work_when_the_routing_changed() -> None:
    check = stayed_on(VERSIONS, "old")
    pinned = _task(_task(Made(), "old", 1, PINNED), "old", 6, PINNED)
    free = _task(_task(Made(), "old", 1, AUTO), "old", 6, AUTO)

    _holds(check, _evidence(pinned, *_routed("new", 3)))
    assert "when the routing changed" in _problem(check, _evidence(pinned, *_routed("new", 8)))
    assert "when the routing changed" in _problem(check, _evidence(free, *_routed("new", 3)))
    assert _problem(check, _evidence(pinned)) == "the routing was not changed"


def test_a_pinned_workflow_that_another_version_worked_on_is_seen() -> None:
    stays = _task(_task(Made(), "old", 1, PINNED), "old", 2, PINNED)
    moves = _task(_task(Made(), "old", 1, PINNED), "new", 2, PINNED)

    _holds(pinned_stay(VERSIONS), _evidence(stays))
    assert _problem(pinned_stay(VERSIONS), _evidence(moves)) == (
        "order-1 is pinned, and was worked on by old and then by new"
    )


def test_a_workflow_that_was_started_pinned_is_so_whatever_its_code_declares() -> None:
    moves = _task(_task(Made(), "old", 1, AUTO), "new", 2, AUTO)
    started = moves.events[0].workflow_execution_started_event_attributes
    started.versioning_override.pinned.version.build_id = "1.0"

    assert "is pinned" in _problem(pinned_stay(VERSIONS), _evidence(moves))


def test_a_workflow_that_upgrades_and_stays_behind_is_seen() -> None:
    behind = _task(_task(Made(), "old", 1, AUTO), "old", 9, AUTO)
    moves = _task(_task(Made(), "old", 1, AUTO), "new", 9, AUTO)

    _holds(upgrading_move(VERSIONS), _evidence(moves, *_routed("new", 3)))
    assert "had a task under the version old when new was current" in _problem(
        upgrading_move(VERSIONS), _evidence(behind, *_routed("new", 3))
    )


def test_a_version_without_workers_that_a_workflow_is_pinned_to_is_named() -> None:
    check = no_version_is_removed_early(VERSIONS)
    left = _evidence(_task(Made(), "old", 1, PINNED))
    gone = Entry(at=at(5), event=Event.EXITED, target="worker-11", pid=11, exit_code=0)
    removed = replace(left, journal=(*left.journal, gone))

    _holds(check, left)
    assert _problem(check, removed) == (
        "order-1 is pinned to version 1.0 of shop, which has no workers: keep them until the "
        "version is drained, or move the workflows"
    )
    ended = _task(Made(), "old", 1, PINNED).ended()
    _holds(check, replace(_evidence(ended), journal=removed.journal))


def test_workers_that_the_harness_ends_with_the_stack_were_there() -> None:
    ending = (
        Entry(at=at(5), event=Event.ENDING),
        Entry(at=at(6), event=Event.EXITED, target="worker-11", pid=11, exit_code=-9),
    )

    _holds(
        no_version_is_removed_early(VERSIONS),
        _evidence(_task(Made(), "old", 1, PINNED), *ending),
    )


def test_a_version_that_is_not_deterministic_is_proven_by_its_failure_and_the_way_back() -> None:
    check = was_not_deterministic(VERSIONS)
    made = _failed(_task(Made(), "old", 1), "broken", 3)

    _holds(check, _evidence(_task(_failed(_task(Made(), "old", 1), "broken", 3), "old", 5)))
    assert "went on under the old version" in _problem(check, _evidence(made))
    replayed = _task(_task(Made(), "old", 1), "broken", 3)
    assert "replayed all that it met" in _problem(check, _evidence(replayed))
    other = _failed(_task(Made(), "old", 1), "broken", 3, OTHER)
    assert "replayed all that it met" in _problem(check, _evidence(other))


def test_a_workflow_task_may_fail_at_the_broken_version_alone_and_for_that_reason_alone() -> None:
    check = fails_as_planned(VERSIONS)

    _holds(check, _evidence(_failed(_task(Made(), "old", 1), "broken", 3)))
    for version, cause in (("old", NOT_DETERMINISTIC), ("broken", OTHER)):
        problem = _problem(check, _evidence(_failed(_task(Made(), "old", 1), version, 3, cause)))
        assert problem.startswith("order-1: workflow task failed: ")


def test_code_that_was_too_slow_by_the_clock_may_be_so_on_a_busy_machine() -> None:
    made = _task(Made(), "old", 1)
    made.task_failed(OTHER, refused("[TMPRL1101] Potential deadlock detected"), 3)

    (problem,) = fails_as_planned(VERSIONS).judge(_evidence(made))

    assert isinstance(problem, Late)


def test_a_workflow_may_upgrade_to_a_version_that_ramps() -> None:
    behind = _task(_task(Made(), "old", 1, AUTO), "old", 9, AUTO)
    ramps = _task(_task(Made(), "old", 1, AUTO), "broken", 9, AUTO)
    ramping = Entry(
        at=at(5), event=Event.FAULT, kind="set_ramping", target="shop", version="broken"
    )

    _holds(upgrading_move(VERSIONS), _evidence(ramps, *_routed("new", 3), ramping))
    assert "had a task" in _problem(
        upgrading_move(VERSIONS), _evidence(ramps, ramping, *_routed("new", 7))
    )
    assert "had a task" in _problem(
        upgrading_move(VERSIONS), _evidence(behind, *_routed("new", 3), ramping)
    )


def test_a_worker_that_told_no_identity_is_known_by_its_process() -> None:
    untold = [_ready(name).model_copy(update={"identities": ()}) for name in ("old", "new")]
    plain = Entry(at=at(0), event=Event.READY, target="worker-9", pid=9, identities=("9@host",))
    other = Entry(at=at(0), event=Event.EXITED, target="worker-8", pid=8, version="new")
    evidence = replace(evidence_of(Made().workflow()), journal=(*untold, plain, other))
    builds = Builds.of(evidence, VERSIONS)

    assert [builds.of_identity(f"{pid}@host") for pid in (11, 12, 9, 8)] == [
        "old",
        "new",
        None,
        None,
    ]


def test_a_build_of_another_deployment_is_none_of_the_targets() -> None:
    made = _task(Made(), "old", 1, AUTO)
    done = made.events[-1].workflow_task_completed_event_attributes
    done.deployment_version.deployment_name, done.deployment_version.build_id = "other", "2.0"

    (task,) = Builds.of(_evidence(made), VERSIONS).tasks(made.workflow().runs[0])

    assert (task.version, task.is_versioned, task.begun_at) == ("old", False, at(1))
    alone = replace(VERSIONS, deployment="")
    done.deployment_version.deployment_name = ""
    (task,) = Builds.of(_evidence(made), alone).tasks(made.workflow().runs[0])
    assert (task.version, task.is_versioned) == ("old", False)


def test_only_what_started_after_the_last_change_of_the_routing_is_counted() -> None:
    check = ran_under(VERSIONS, "new")
    made = _task(Made(), "new", 1, AUTO)
    stopped = Entry(at=at(50), event=Event.HEALED, target="worker-11")

    _holds(check, _evidence(made))
    _holds(check, _evidence(made, *_routed("new", -5), stopped))
    assert _problem(check, _evidence(made, *_routed("new", -5), *_routed("old", 3)))


def test_a_workflow_that_started_after_the_routing_or_went_elsewhere_did_not_stay() -> None:
    check = stayed_on(VERSIONS, "old")
    pinned = _task(_task(Made(), "old", 1, PINNED), "old", 6, PINNED)
    moved = _task(_task(Made(), "old", 1, PINNED), "new", 6, PINNED)

    assert _problem(check, _evidence(pinned, *_routed("new", -5)))
    assert _problem(check, _evidence(moved, *_routed("new", 3)))


def test_how_a_workflow_was_started_says_whether_it_is_pinned_before_what_its_code_declares() -> (
    None
):
    for behavior, declared, expected in (
        (PINNED, AUTO, True),
        (None, PINNED, True),
        (None, AUTO, False),
        (None, None, False),
    ):
        made = Made() if declared is None else _task(Made(), "old", 1, declared)
        made.scheduled("charge_card", 3)
        override = made.events[0].workflow_execution_started_event_attributes.versioning_override
        if behavior is not None:
            override.behavior = behavior  # as servers before 1.29 have it
        assert is_pinned(made.workflow().runs[0]) is expected
    override.auto_upgrade = True
    upgrades = _task(made, "old", 4, PINNED)
    assert not is_pinned(upgrades.workflow().runs[0])


def test_pinned_workflows_stay_and_others_move() -> None:
    moves = _task(_task(Made(), "old", 1, AUTO), "new", 9, AUTO)
    stays = _task(_task(Made(), "old", 1, PINNED), "old", 9, PINNED)

    _holds(pinned_stay(VERSIONS), _evidence(moves))
    _holds(upgrading_move(VERSIONS), _evidence(stays, *_routed("new", 3)))


def test_a_workflow_that_waits_for_the_version_that_it_was_started_on_is_named() -> None:
    check = no_version_is_removed_early(VERSIONS)
    made = Made()
    override = made.events[0].workflow_execution_started_event_attributes.versioning_override
    override.pinned.version.build_id = "1.0"
    gone = Entry(at=at(5), event=Event.EXITED, target="worker-11", pid=11, exit_code=0)
    ending = Entry(at=at(6), event=Event.ENDING)

    assert "version 1.0 of shop" in _problem(check, _evidence(made, gone, ending))
    for_ever = evidence_of(made.workflow(), status=Status.RUNNING)
    _holds(check, replace(for_ever, journal=(*ALL_READY, gone)))
    free = _task(Made(), "old", 1, AUTO)
    _holds(check, _evidence(free, gone))


def test_a_workflow_that_the_broken_version_alone_went_on_with_did_not_come_back() -> None:
    stuck = _task(_failed(_task(Made(), "old", 1), "broken", 3), "broken", 5)

    assert "went on under the old version" in _problem(
        was_not_deterministic(VERSIONS), _evidence(stuck)
    )


def test_that_a_workflow_moves_late_may_be_the_machines_doing() -> None:
    behind = _task(_task(Made(), "old", 1, AUTO), "old", 9, AUTO)

    (problem,) = upgrading_move(VERSIONS).judge(_evidence(behind, *_routed("new", 3)))

    assert isinstance(problem, Late)
