"""Workers of strangers, each killed in the middle of an activity, and judged."""

from __future__ import annotations

import dataclasses
import importlib
import signal
import sys
from collections.abc import Awaitable, Callable

import pytest
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest

from chaos.environment.readiness import Polls
from chaos.environment.target import Target
from chaos.environment.worker import WorkerKind
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.invariants.proofs import killed_while_open
from chaos.invariants.proofs.work import faults_met_work
from chaos.invariants.survival import replays_with
from chaos.invariants.verdict import Verdict
from tests.data.guests.shop import sealed
from tests.integration.guests.conftest import GUESTS, GuestRun

SHOP = Target(
    worker=(sys.executable, "worker.py", "workflow", "activity"),
    task_queue="shop",
    cwd=GUESTS / "shop",
)
ORDER = WorkflowSpec(
    workflow_id="order-1", workflow_type="Order", arguments=("lamp",), attempts={"pack": 2}
)
PROOFS = (killed_while_open(["worker-1"], "order-1", "pack"),)


def killed(
    spec: WorkflowSpec,
    activity: str = "pack",
    prepare: Callable[[Lab], Awaitable[None]] | None = None,
) -> Callable[[Lab], Awaitable[None]]:
    """Kill the worker that has the activity in flight; another one ends the work."""

    async def experiment(lab: Lab) -> None:
        worker = await lab.worker()
        if prepare:
            await prepare(lab)
        await lab.start(spec)
        await lab.until_in_flight(spec.workflow_id, activity)
        await lab.signal(worker.child, signal.SIGKILL)
        await lab.worker()

    return experiment


def _attempts_end_with(evidence: Evidence, identity: str) -> bool:
    (activity,) = evidence.workflows["order-1"].activities
    return activity.attempt == 2 and activity.worker == identity


def _identities(evidence: Evidence) -> list[tuple[str, ...]]:
    return [entry.identities for entry in evidence.journal if entry.event is Event.READY][1:]


async def test_a_worker_of_both_kinds(guest_run: GuestRun) -> None:
    result = await guest_run.judged(SHOP, ORDER, killed(ORDER), proofs=PROOFS)

    assert result.verdict is Verdict.PASSED, result.reason
    assert [len(each) for each in _identities(guest_run.evidence)] == [1, 1]


async def test_a_worker_under_a_shell_dies_with_it(guest_run: GuestRun) -> None:
    line = f"echo begins; {sys.executable} worker.py workflow activity; echo has ended"
    target = dataclasses.replace(SHOP, worker=("sh", "-c", line))

    result = await guest_run.judged(target, ORDER, killed(ORDER), proofs=PROOFS)

    assert result.verdict is Verdict.PASSED, result.reason
    evidence = guest_run.evidence
    kill = evidence.first_entry(Event.SIGNALED, target="worker-1")
    first, second = _identities(evidence)
    pid = first[0].partition("@")[0]
    assert kill
    assert kill.pid != int(pid)
    assert f"of its group, {pid}" in kill.text
    assert _attempts_end_with(evidence, second[0])


@pytest.mark.nightly
async def test_a_worker_with_an_identity_of_its_own_that_its_successor_has_too(
    guest_run: GuestRun,
) -> None:
    target = dataclasses.replace(SHOP, settings={"IDENTITY": "the-shop"})

    result = await guest_run.judged(target, ORDER, killed(ORDER), proofs=PROOFS)

    assert result.verdict is Verdict.PASSED, result.reason
    assert _identities(guest_run.evidence) == [("the-shop",), ("the-shop",)]
    assert _attempts_end_with(guest_run.evidence, "the-shop")


async def test_workers_of_two_kinds_on_two_queues(guest_run: GuestRun) -> None:
    target = Target(
        worker=(sys.executable, "worker.py", "workflow"),
        task_queue="shop",
        ready=Polls(["workflow"]),
        cwd=GUESTS / "shop",
        kinds={
            "packer": WorkerKind(
                argv=(sys.executable, "worker.py", "activity"),
                task_queue="packing",
                ready=Polls(["activity"]),
                settings={"IDENTITY": "packer"},
            )
        },
    )
    spec = ORDER.model_copy(update={"arguments": ("lamp", "packing")})

    async def experiment(lab: Lab) -> None:
        await lab.worker()
        packer = await lab.worker(kind="packer")
        await lab.start(spec)
        await lab.until_in_flight("order-1", "pack")
        await lab.signal(packer.child, signal.SIGKILL)
        await lab.worker(kind="packer")

    result = await guest_run.judged(
        target, spec, experiment, proofs=[killed_while_open(["worker-2"], "order-1", "pack")]
    )

    assert result.verdict is Verdict.PASSED, result.reason
    assert _attempts_end_with(guest_run.evidence, "packer")


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["workflow", "activity"])
async def test_a_worker_of_one_kind_is_ready_without_a_word(guest_run: GuestRun, kind: str) -> None:
    target = dataclasses.replace(SHOP, worker=(sys.executable, "worker.py", kind))
    other = ({"workflow", "activity"} - {kind}).pop()
    spec = ORDER.model_copy(update={"arguments": ("card",), "attempts": {}})

    async def experiment(lab: Lab) -> None:
        await lab.worker()
        await lab.worker(argv=(sys.executable, "worker.py", other))
        await lab.start(spec)

    result = await guest_run.judged(target, spec, experiment)

    assert result.verdict is Verdict.PASSED, result.reason


@pytest.mark.nightly
async def test_a_versioned_worker(guest_run: GuestRun) -> None:
    target = dataclasses.replace(SHOP, settings={"VERSION": "1.0"})
    spec = ORDER.model_copy(update={"workflow_type": "VersionedOrder"})

    async def make_current(lab: Lab) -> None:
        await lab.client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=lab.client.namespace, deployment_name="shop", build_id="1.0"
            )
        )

    result = await guest_run.judged(target, spec, killed(spec, prepare=make_current), proofs=PROOFS)

    assert result.verdict is Verdict.PASSED, result.reason


@pytest.mark.nightly
async def test_a_converter_and_a_codec_of_its_own(
    guest_run: GuestRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = dataclasses.replace(SHOP, settings={"SEALED": "1"}, data_converter=sealed.CONVERTER)
    spec = WorkflowSpec(
        workflow_id="order-1",
        workflow_type="SealedOrder",
        arguments=(sealed.Price("1.50"), b"\x00\xff", WorkflowType(name="lamp")),
        attempts={"pack": 2},
    )
    monkeypatch.syspath_prepend(GUESTS / "shop")
    flows, own = importlib.import_module("flows"), importlib.import_module("sealed")

    result = await guest_run.judged(
        target,
        spec,
        killed(spec),
        proofs=PROOFS,
        invariants=[replays_with([flows.SealedOrder], own.CONVERTER)],
    )

    assert result.verdict is Verdict.PASSED, result.reason
    workflow = guest_run.evidence.workflows["order-1"]
    assert workflow.result(sealed.Price) == sealed.Price("3.00")
    assert b"1.50" not in (guest_run.evidence.history_file(workflow)).read_bytes()


@pytest.mark.nightly
async def test_a_kill_of_one_that_had_nothing_shows_nothing_whatever_its_name(
    guest_run: GuestRun,
) -> None:
    """The counter-example: two workers have one identity, and the idle one is killed."""
    target = dataclasses.replace(SHOP, settings={"IDENTITY": "the-shop"})
    spec = ORDER.model_copy(update={"attempts": {}})

    async def experiment(lab: Lab) -> None:
        await lab.worker()
        await lab.start(spec)
        await lab.until_in_flight("order-1", "pack")
        idle = await lab.worker()
        await lab.signal(idle.child, signal.SIGKILL)

    result = await guest_run.judged(
        target, spec, experiment, proofs=[faults_met_work(all_kinds=True)]
    )

    assert result.verdict is Verdict.UNKNOWN
    assert "kill at worker-2 hit no work in flight" in result.reason
