"""Whole runs against a cluster that somebody else runs, behind mTLS, with a workflow of theirs."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from chaos.environment.external import EXECUTION_TIMEOUT, Connection, ExternalFactory
from chaos.environment.stack import NotHereError, Stack, StackConfig
from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from tests.integration.environment.conftest import Foreign, StartRun

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]
INNOCENT = "somebody-elses"
ORDERS = Target(
    worker=(sys.executable, "-m", "orders.worker"),
    task_queue="orders",
    cwd=Path(__file__).parents[3] / "examples" / "orders",
)


@pytest_asyncio.fixture(loop_scope="module")
async def client(foreign: Foreign) -> Client:
    """Of the cluster's owner."""
    return await foreign.cluster.connect()


@pytest_asyncio.fixture(loop_scope="module")
async def innocent(client: Client) -> AsyncIterator[WorkflowHandle]:  # type: ignore[type-arg]  # whatever it returns
    """A workflow of the owner's, in the same namespace, on a queue that nobody serves."""
    handle = await client.start_workflow("Theirs", id=INNOCENT, task_queue="video")
    before = await _events(handle)
    yield handle
    described = await handle.describe()
    assert described.status is WorkflowExecutionStatus.RUNNING
    assert await _events(handle) == before
    await handle.terminate()


async def _events(handle: WorkflowHandle) -> list[int]:  # type: ignore[type-arg]  # whatever it returns
    return [event.event_type async for event in handle.fetch_history_events()]


async def _running(client: Client) -> set[str]:
    return {each.id async for each in client.list_workflows('ExecutionStatus = "Running"')}


async def test_a_run_uses_the_cluster_and_leaves_it_as_it_was(
    foreign: Foreign,
    client: Client,
    innocent: WorkflowHandle,  # type: ignore[type-arg]  # whatever it returns
    start_run: StartRun,
) -> None:
    chosen = "retry_config or server_restart or checkpoint or concurrency"
    run = start_run("-k", chosen, "--workflows=2", **foreign.environment)

    assert await asyncio.to_thread(run.end) == pytest.ExitCode.OK, run.output
    results = json.loads((run.reports / "latest" / "results.json").read_text())
    assert results["topology"] == "external"
    assert results["versions"]["server"] == "1.31.2"
    assert results["overall"] == {"passed": 3, "total": 3, "not_run": 1}
    assert [each["name"] for each in results["not_run"]] == ["server_restart"]
    assert "3. Server Restart" in run.output
    assert "OVERALL: 3/3 tests passed, 1 not run" in run.output
    assert "3 passed, 1 skipped" in run.output
    ours = [w["workflow_id"] for s in results["scenarios"] for w in s["workflows"]]
    assert len(ours) == 6
    assert all(workflow_id.startswith("chaos-") for workflow_id in ours)
    for workflow_id in ours:
        described = await client.get_workflow_handle(workflow_id).describe()
        assert described.status is not WorkflowExecutionStatus.RUNNING
    assert await _running(client) == {innocent.id}
    _assert_no_secret(run.reports.rglob("*"), foreign)


async def test_a_run_that_is_broken_off_ends_its_workflows(
    foreign: Foreign,
    client: Client,
    innocent: WorkflowHandle,  # type: ignore[type-arg]  # whatever it returns
    start_run: StartRun,
) -> None:
    run = start_run("-k", "worker_crash", **foreign.environment)
    await asyncio.to_thread(run.until_it_says, "SIGKILL to worker-1")
    await wait_until(
        lambda: _is_running_beside(client, innocent.id), what="ours runs", deadline_seconds=20
    )
    run.process.send_signal(signal.SIGINT)

    assert await asyncio.to_thread(run.end) == pytest.ExitCode.INTERRUPTED, run.output
    (ours,) = await _all(client, "crash-single")
    assert (await ours.describe()).status is WorkflowExecutionStatus.TERMINATED


async def test_a_run_that_is_killed_leaves_nothing_that_goes_on_for_ever(
    foreign: Foreign, client: Client, start_run: StartRun
) -> None:
    run = start_run("-k", "concurrency", "--workflows=1", **foreign.environment)
    await asyncio.to_thread(run.until_it_says, "1 workflows are open")
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()

    await wait_until(lambda: _is_there(client, "load-001"), what="it", deadline_seconds=20)
    (newest, *_) = await _all(client, "load-001")
    started, *_ = [event async for event in newest.fetch_history_events()]
    attributes = started.workflow_execution_started_event_attributes
    assert attributes.workflow_execution_timeout.ToTimedelta() == EXECUTION_TIMEOUT


async def test_on_the_wire_a_worker_needs_no_certificate(
    foreign: Foreign, reaper: Reaper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in foreign.environment.items():
        monkeypatch.setenv(name, value)
    factory = ExternalFactory.for_run(Connection.load(), "wire")
    (tmp_path / "scratch").mkdir()
    config = StackConfig(
        reaper.run_tag, tmp_path / "scratch", tmp_path / "case", None, temporal_factory=factory
    )
    journal = Journal(tmp_path / "case" / "journal.jsonl", lambda _: None)
    async with Stack(StackSpec(), ORDERS, config, journal) as stack:
        worker = await stack.start_worker(wire=True)
        assert not [name for name in worker.child.environment if name.startswith("TEMPORAL_TLS")]
        lab = Lab(stack, journal, Options())
        taken = await lab.at("workflow_task Unknown failed", workflow_id="unknown-1")
        await lab.start(WorkflowSpec(workflow_id="unknown-1", workflow_type="Unknown"))
        hit = await taken.reached()
        assert hit.workflow_id == "unknown-1"
        await hit.resume()
        with pytest.raises(NotHereError, match="no namespace is created for a line"):
            await stack.start_worker(wire=True, namespace="lane-1")
    journal.close()
    _assert_no_secret((tmp_path / "case").rglob("*"), foreign)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"TEMPORAL_NAMESPACE": "nowhere"}, "has no namespace 'nowhere'; check TEMPORAL_NAMESPACE"),
        (
            {"TEMPORAL_ADDRESS": "127.0.0.1:1"},
            "cannot connect to Temporal at 127.0.0.1:1 (Connection refused); check",
        ),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "", "TEMPORAL_TLS_CLIENT_KEY_PATH": ""},
            "); check TEMPORAL_ADDRESS and the TEMPORAL_TLS_* variables.",
        ),
        ({"TEMPORAL_TLS_SERVER_NAME": "other.test"}, "(NotValidForNameContext); check"),
        ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": ""}, "is not trusted (UnknownIssuer); check"),
        (
            {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/nowhere"},
            "/nowhere, which a TEMPORAL_TLS_* variable names, cannot be read",
        ),
    ],
    ids=["namespace", "address", "no certificate", "name", "unknown authority", "no file"],
)
async def test_a_cluster_that_cannot_be_used_is_one_sentence(
    change: dict[str, str], sentence: str, foreign: Foreign, start_run: StartRun
) -> None:
    environment = {n: v for n, v in {**foreign.environment, **change}.items() if v}
    run = start_run("-k", "concurrency", **environment)

    assert await asyncio.to_thread(run.end) == pytest.ExitCode.USAGE_ERROR, run.output
    (line,) = [line for line in run.output.splitlines() if line.startswith("ERROR: ")]
    assert sentence in line
    assert line.endswith(".")
    assert "Traceback" not in run.output
    assert not list(run.reports.glob("*"))


async def _is_running_beside(client: Client, innocent: str) -> bool:
    return bool(await _running(client) - {innocent})


async def _is_there(client: Client, name: str) -> bool:
    return bool(await _all(client, name))


async def _all(client: Client, name: str) -> list[WorkflowHandle]:  # type: ignore[type-arg]  # whatever it returns
    """Ours of that name, whatever its prefix, the newest first."""
    return [
        client.get_workflow_handle(each.id)
        async for each in client.list_workflows()
        if each.id.endswith(f"-{name}")
    ]


def _assert_no_secret(files: object, foreign: Foreign) -> None:
    key = foreign.certificates.tls.client_key.read_bytes().splitlines()[1]
    kept = [f.read_bytes() for f in files if f.is_file()]  # type: ignore[attr-defined]  # paths
    assert len(kept) > 3
    assert not any(key in content for content in kept)
