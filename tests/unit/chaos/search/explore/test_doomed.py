"""The hand on the switch: it counts by workflow, dies at the armed moment, and only once."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from temporalio.bridge.proto.activity_task import ActivityTask
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion

from chaos.search.explore import doomed
from chaos.search.explore.doomed import Watch
from chaos.search.explore.moments import (
    BOOTING,
    Actor,
    Armed,
    Moment,
    Stage,
    arm,
    read_hit,
    read_passed,
    unpolled,
)

POLLED_2 = Moment(actor=Actor.TASK, number=2, stage=Stage.POLLED)
COMPLETED_1 = Moment(actor=Actor.TASK, number=1, stage=Stage.COMPLETED)


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What would have been killed."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def begin(watch: Watch, workflow_id: str) -> None:
    activation = WorkflowActivation(run_id=f"run of {workflow_id}")
    activation.jobs.add().initialize_workflow.workflow_id = workflow_id
    watch.task_polled(activation)


def go_on(watch: Watch, workflow_id: str) -> None:
    activation = WorkflowActivation(run_id=f"run of {workflow_id}")
    activation.jobs.add().resolve_activity.seq = 1
    watch.task_polled(activation)


def complete(watch: Watch, workflow_id: str) -> None:
    completion = WorkflowActivationCompletion(run_id=f"run of {workflow_id}")
    watch.task(completion, "completing")
    watch.task(completion, "completed")


def names(folder: Path, workflow_id: str) -> Sequence[str]:
    return [line.moment.name for line in read_passed(folder, workflow_id)]


def test_workflows_are_counted_apart(watch: Watch, tmp_path: Path) -> None:
    begin(watch, "a")
    begin(watch, "b")
    complete(watch, "a")
    go_on(watch, "a")

    assert names(tmp_path, "a") == [
        *("task-1-polled", "task-1-completing", "task-1-completed", "task-2-polled")
    ]
    assert names(tmp_path, "b") == ["task-1-polled"]


def test_an_emptied_cache_is_no_task(watch: Watch, tmp_path: Path) -> None:
    begin(watch, "a")
    eviction = WorkflowActivation(run_id="run of a")
    eviction.jobs.add().remove_from_cache.message = "room is needed"
    watch.task_polled(eviction)

    assert not watch.is_task(WorkflowActivationCompletion(run_id="run of a"))
    assert names(tmp_path, "a") == ["task-1-polled"]


def test_a_cancel_is_no_activity(watch: Watch, tmp_path: Path) -> None:
    start = ActivityTask(task_token=b"1")
    start.start.workflow_execution.workflow_id = "a"
    cancel = ActivityTask(task_token=b"1")
    cancel.cancel.SetInParent()

    watch.activity_polled(start)
    watch.activity_polled(cancel)

    assert names(tmp_path, "a") == ["activity-1-polled"]


def test_it_dies_at_the_armed_moment_of_its_workflow_alone(
    watch: Watch, tmp_path: Path, kills: list[tuple[int, int]]
) -> None:
    arm(tmp_path, Armed(workflow_id="b", moment=POLLED_2))
    for workflow_id in ("a", "b"):
        begin(watch, workflow_id)
        complete(watch, workflow_id)
    go_on(watch, "a")
    assert kills == []

    go_on(watch, "b")

    hit = read_hit(tmp_path, "b")
    assert kills == [(os.getpid(), signal.SIGKILL)]
    assert hit
    assert (hit.moment, hit.pid) == (POLLED_2, os.getpid())
    assert read_hit(tmp_path, "a") is None


def test_a_successor_lives(watch: Watch, tmp_path: Path, kills: list[tuple[int, int]]) -> None:
    arm(tmp_path, Armed(workflow_id="a", moment=COMPLETED_1))
    for worker in (watch, Watch(tmp_path)):
        begin(worker, "a")
        complete(worker, "a")

    assert len(kills) == 1


def test_it_dies_before_it_polls(
    watch: Watch, tmp_path: Path, kills: list[tuple[int, int]]
) -> None:
    watch.boots()
    arm(tmp_path, Armed(workflow_id="a", moment=BOOTING))
    watch.boots()
    watch.boots()

    assert len(kills) == 1
    assert read_hit(tmp_path, "a")


def test_without_an_open_poll_it_dies_after_the_report(
    watch: Watch,
    tmp_path: Path,
    kills: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    cut: Callable[[str], None] = lambda address: seen.append(f"{address} {len(kills)} kills")  # noqa: E731
    monkeypatch.setattr(doomed, "cut_connections", cut)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:7233")
    arm(tmp_path, Armed(workflow_id="a", moment=unpolled(COMPLETED_1)))
    begin(watch, "a")
    complete(watch, "a")

    hit = read_hit(tmp_path, "a")
    assert seen == ["127.0.0.1:7233 0 kills"]
    assert len(kills) == 1
    assert hit
    assert hit.moment == unpolled(COMPLETED_1)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/charges", "charges"),
        ("/orders/17/refunds", "refunds"),
        ("/orders/17", "orders"),
        ("/v1beta/models/veo-3.1:predictLongRunning", "predictLongRunning"),
        ("/v1beta/models/veo-3.1/operations/5f2c", "operations"),
        ("/", "/"),
    ],
)
def test_a_call_is_named_without_ids(path: str, what: str) -> None:
    assert doomed.asked(path) == what


def test_only_connections_to_the_server_are_cut() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_connection(server.getsockname()) as polls,
        socket.create_connection(other.getsockname()) as pays,
        server.accept()[0] as polled,
        other.accept()[0] as paid,
    ):
        doomed.cut_connections(f"127.0.0.1:{server.getsockname()[1]}")

        assert polled.recv(1) == b""
        with pytest.raises(OSError, match="Broken pipe"):
            polls.sendall(b"x")
        pays.sendall(b"x")
        assert paid.recv(1) == b"x"
