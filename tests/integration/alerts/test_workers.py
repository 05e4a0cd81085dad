"""Real workers whose API fails twice: one alert for each further attempt and receiver, although
one receiver hangs and the worker is killed.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import PendingActivityState

from chaos.environment.stack import StackSpec
from chaos.environment.worker import WorkerProcess
from chaos.evidence.history import Status
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.specs import VideoSpec
from tests.integration.alerts.receiver import SECRET, HttpReceiver, http_receiver
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench
from workflows.fleet.supervisor import DRAIN_SECONDS

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(150),  # the retries wait 30 s, and other tests may run beside
]

DEADLINE_SECONDS = 60.0


def identity(worker: WorkerProcess) -> str:
    return f"{worker.child.pid}@{socket.gethostname()}"


def text(spec: VideoSpec, attempt: int, worker: WorkerProcess) -> str:
    """The alert that is expected."""
    return (
        f"SingleVideo {spec.workflow_id}: generate_character is at attempt {attempt} of 3 "
        f"(worker {identity(worker)})."
    )


def logged(worker: WorkerProcess) -> Sequence[Mapping[str, object]]:
    """The alerts in a worker's log."""
    lines = worker.child.log.read_text().splitlines()
    alerts = [line for line in lines if " WARNING workflows.alerts: " in line]
    return [json.loads(line.partition(" workflows.alerts: ")[2]) for line in alerts]


async def until_accepted(receiver: HttpReceiver, alert: str) -> None:
    await wait_until(
        lambda: bool(receiver.accepted[alert]),
        what=f"accepted: {alert}",
        deadline_seconds=DEADLINE_SECONDS,
    )


async def second_attempt_has_failed(bench: Bench, spec: VideoSpec) -> None:
    async def has_failed() -> bool:
        described = await bench.handle(spec).describe()
        return any(
            pending.attempt == 3
            and pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
            for pending in described.raw_description.pending_activities
        )

    await wait_until(
        has_failed, what="the second attempt has failed", deadline_seconds=DEADLINE_SECONDS
    )


async def all_histories(bench: Bench) -> str:
    """Every history of every workflow, those of the alerts among them."""
    found = [w async for w in bench.lab.client.list_workflows()]
    assert {w.workflow_type for w in found} == {"SingleVideo", "SendAlert"}
    handles = [bench.lab.client.get_workflow_handle(w.id, run_id=w.run_id) for w in found]
    return "".join([(await handle.fetch_history()).to_json() for handle in handles])


async def test_alerts_survive_a_receiver_that_hangs_and_a_worker_that_is_killed(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    spec = specs.single("alerts")
    with http_receiver() as well, http_receiver() as ill:
        settings = {"ALERT_URLS": f"{well.url} {ill.url}", "NO_PROXY": "127.0.0.1"}
        async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
            await bench.lab.api.add_rule(
                FaultRule(
                    call=Call.IMAGE,
                    kind=FaultKind.STATUS,
                    status=503,
                    times=2,
                    match=spec.character_prompt,
                )
            )
            ill.hangs = True
            first = await bench.lab.worker(settings=settings)
            await bench.lab.start(spec)
            await second_attempt_has_failed(bench, spec)  # no attempt waits for a receiver
            await until_accepted(well, text(spec, 2, first))
            assert ill.asked
            assert ill.accepted == Counter()

            await bench.lab.signal(first.child, signal.SIGKILL)
            ill.hangs = False
            second = await bench.lab.worker(settings=settings)
            await until_accepted(ill, text(spec, 2, first))
            workflow = await bench.ended(spec, deadline_seconds=DEADLINE_SECONDS)
            for receiver in (well, ill):
                await until_accepted(receiver, text(spec, 3, second))
            histories = await all_histories(bench)

    assert workflow.status is Status.COMPLETED
    attempts = {activity.kind: activity.attempt for activity in workflow.activities}
    assert attempts.pop("generate_character") == 3
    assert set(attempts.values()) == {1}
    expected = Counter({text(spec, 2, first): 1, text(spec, 3, second): 1})
    assert well.accepted == ill.accepted == expected

    assert [line["attempt"] for worker in (first, second) for line in logged(worker)] == [2, 3]
    logs = first.child.log.read_text() + second.child.log.read_text()
    assert SECRET not in logs + histories


async def test_a_worker_stops_in_time_although_the_server_hangs(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    settings = {"ALERT_URLS": "json://127.0.0.1:1/ json://127.0.0.1:2/"}
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        worker = await bench.lab.worker(settings=settings)
        server = bench.lab.stack.server.child
        server.send(signal.SIGSTOP)
        worker.child.send(signal.SIGTERM)
        try:
            assert await worker.child.wait(DRAIN_SECONDS) == 0
        finally:
            server.send(signal.SIGCONT)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"ALERT_URLS": SECRET}, "worker: ALERT_URLS must be Apprise URLs"),
        ({"ALERT_WEBHOOK_URL": SECRET}, "worker: ALERT_WEBHOOK_URL no longer exist"),
    ],
)
async def test_a_wrong_setting_is_a_sentence_and_exit_code_2(
    settings: Mapping[str, str], complaint: str, tmp_path: Path
) -> None:
    environment = {"PATH": "", "GEMINI_API_KEY": "dummy", **settings}
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs
        [sys.executable, "-m", "workflows.worker"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(complaint)
    assert len(ended.stderr.splitlines()) == 1
    assert SECRET not in ended.stderr
