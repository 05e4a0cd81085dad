"""A target whose workers are there already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import guide
from chaos.environment import readiness
from chaos.environment.readiness import Poller, until_polled
from chaos.environment.stack import NotHereError, Stack, StackConfig
from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.bills import Mode
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.runner import _split
from chaos.experiment.scenario import Case, Scenario
from chaos.process.child import ChildError

PODS = Target(
    worker=(),
    task_queue="orders",
    specs={"order": lambda name: WorkflowSpec(workflow_id=name, workflow_type="Order")},
)
OWN = replace(PODS, worker=("./worker",))


def _stack(folder: Path, target: Target) -> Any:
    """On a cluster of others."""
    config = StackConfig("tag", folder / "scratch", folder / "case", None)
    journal = Journal(folder / "journal", lambda _: None)
    journal.close()  # nothing is read of it
    stack: Any = Stack(StackSpec(), target, config, journal)
    stack._temporal = SimpleNamespace(prefix="chaos-1-")
    return stack


def test_their_queue_is_their_own_and_ids_are_the_runs(tmp_path: Path) -> None:
    assert _stack(tmp_path, OWN).own_queue("orders") == "chaos-1-orders"
    pods = _stack(tmp_path, PODS)
    assert pods.own_queue("orders") == "orders"
    assert pods.own("order-1") == "chaos-1-order-1"


async def test_none_is_started_beside_them(tmp_path: Path) -> None:
    pods = _stack(tmp_path, PODS)
    for start in (pods.start_worker(), pods.keep_workers(2), pods.start_supervisor(2)):
        with pytest.raises(NotHereError, match=r"there already, so none is started: name Target\."):
            await start


def _scenario(target: Target) -> Scenario:
    async def nothing(lab: object) -> None:
        del lab

    case = Case(
        name="only",
        target=target,
        experiment=nothing,
        proofs=(),
        load=lambda _: (),
        invariants=(),
    )
    return Scenario(name="it", title="It", cases=(case,))


@pytest.mark.parametrize("topology", list(Topology))
def test_they_are_on_a_cluster_that_is_there_and_on_no_other(topology: Topology) -> None:
    kept, absent = _split([_scenario(PODS)], Mode.MOCKED, topology)

    assert bool(kept) is (topology is Topology.EXTERNAL)
    assert all("use --topology external" in each.reason for each in absent)
    assert _split([_scenario(OWN)], Mode.MOCKED, topology)[0]


def test_the_guide_says_that_it_starts_workers_of_its_own() -> None:
    for heading in guide.HEADINGS:
        missing = heading.why_not(PODS)
        assert missing
        assert "Target.worker" in missing or heading.make is None


async def test_a_queue_that_nobody_polls_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Poller] = []

    async def pollers_of(_client: object, _queues: object) -> list[Poller]:
        return found

    client: Any = SimpleNamespace(namespace="shop")
    monkeypatch.setattr(readiness, "POLLED_DEADLINE_SECONDS", 0.1)
    monkeypatch.setattr(readiness, "pollers_of", pollers_of)
    with pytest.raises(ChildError, match=r"no worker polls the task queue 'orders' of the namespa"):
        await until_polled(client, "orders")

    found.append(Poller("orders", "workflow", "7@pod-1", "", datetime.now(UTC)))
    assert await until_polled(client, "orders") == ["7@pod-1"]
