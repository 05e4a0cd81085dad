"""Real workers whose API fails twice: one alert for each further attempt and channel, whatever
becomes of the receivers and of the worker.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import PendingActivityState

from chaos.environment.stack import StackSpec
from chaos.environment.worker import WorkerProcess
from chaos.evidence.history import Status, Workflow
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.specs import VideoSpec
from tests.integration.alerts.http_receiver import PATH, Answer, HttpReceiver
from tests.integration.alerts.mail_receiver import PASSWORD, MailReceiver
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(150),  # the retries wait 30 s, and other tests may run beside
]

WELL, ILL = specs.single("alerts-well"), specs.single("alerts-ill")
DEADLINE_SECONDS = 60.0
OPS = "ops@example.com"


@dataclass(frozen=True)
class Receivers:
    """A webhook and a mail server, and the folder of the worker that uses them."""

    webhook: HttpReceiver
    mail: MailReceiver
    artifacts: Path

    @property
    def spool(self) -> Path:
        return self.artifacts / ".alerts"

    def settings(self) -> Mapping[str, str]:
        return {
            "ARTIFACTS_DIR": str(self.artifacts),
            "ALERT_WEBHOOK_URL": self.webhook.url,
            "ALERT_SMTP_URL": self.mail.url(),
            "ALERT_EMAIL_FROM": "alerts@example.com",
            "ALERT_EMAIL_TO": OPS,
        }

    def waiting(self) -> Sequence[str]:
        return [str(file.relative_to(self.spool)) for file in self.spool.rglob("*.json")]

    def got(self) -> tuple[Counter[str], Counter[str]]:
        """How often each alert was accepted, by channel."""
        subjects = (" ".join(subject.split()) for subject in self.mail.subjects())
        return Counter(self.webhook.accepted), Counter(subjects)


@dataclass(frozen=True)
class Outcome:
    """What was seen of one workflow and its workers."""

    workflow: Workflow
    receivers: Receivers
    workers: Sequence[WorkerProcess]

    def alert(self, attempt: int, worker: WorkerProcess) -> str:
        """The text that is expected."""
        return (
            f"SingleVideo {self.workflow.workflow_id}: generate_character is at attempt {attempt} "
            f"of 3 (worker {identity(worker)})."
        )

    def logged(self) -> Sequence[Mapping[str, object]]:
        """The alerts in the logs, worker by worker."""
        lines = [line for worker in self.workers for line in _lines(worker)]
        return [json.loads(line.partition(" workflows.alerts: ")[2]) for line in lines]

    def all_text(self) -> str:
        """Everything that was written to logs and files of alerts."""
        files = [worker.child.log for worker in self.workers]
        files += [file for file in self.receivers.spool.rglob("*") if file.is_file()]
        return "".join(file.read_text() for file in files)


def identity(worker: WorkerProcess) -> str:
    """The SDK's own name of a worker."""
    return f"{worker.child.pid}@{socket.gethostname()}"


def _lines(worker: WorkerProcess) -> Sequence[str]:
    lines = worker.child.log.read_text().splitlines()
    return [line for line in lines if " WARNING workflows.alerts: " in line]


@dataclass(frozen=True)
class Seen:
    """A moment: requests to the API, alerts on disk, requests to the webhook, accepted alerts."""

    requests: int
    waiting: Sequence[str]
    asked: int
    got: tuple[Counter[str], Counter[str]]


@asynccontextmanager
async def receivers_in(folder: Path) -> AsyncIterator[Receivers]:
    async with HttpReceiver() as webhook, MailReceiver() as mail:
        yield Receivers(webhook, mail, folder)


async def fail_twice(bench: Bench, asked: VideoSpec) -> None:
    rule = FaultRule(
        call=Call.IMAGE, kind=FaultKind.STATUS, status=503, times=2, match=asked.character_prompt
    )
    await bench.lab.api.add_rule(rule)


async def worker_of(bench: Bench, asked: VideoSpec, receivers: Receivers) -> WorkerProcess:
    """A worker for one workflow only."""
    return await bench.lab.worker(task_queue=asked.workflow_id, settings=receivers.settings())


async def waits_for(bench: Bench, asked: VideoSpec, attempt: int) -> bool:
    """Whether the attempt before this one has failed and this one has not begun."""
    described = await bench.handle(asked).describe()
    return any(
        activity.attempt == attempt
        and activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        for activity in described.raw_description.pending_activities
    )


async def requests(bench: Bench, asked: VideoSpec) -> int:
    """How often the API was asked for the workflow's character."""
    prompts = [prompt for call, prompt in await bench.requested(asked) if call is Call.IMAGE]
    return len(prompts)


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    await wait_until(condition, what=what, deadline_seconds=DEADLINE_SECONDS)


async def completed(bench: Bench, asked: VideoSpec, receivers: Receivers) -> None:
    """The workflow has ended and no alert waits: nothing more can come."""
    await until(lambda: bench.lab.has_ended(asked.workflow_id), f"{asked.workflow_id} ends")
    await until(lambda: not receivers.waiting(), "no alert waits")


async def all_is_well(bench: Bench, receivers: Receivers) -> Sequence[WorkerProcess]:
    """Nothing fails but the API."""
    worker = await worker_of(bench, WELL, receivers)
    await bench.lab.start(WELL, task_queue=WELL.workflow_id)
    await completed(bench, WELL, receivers)
    return [worker]


async def all_goes_wrong(
    bench: Bench, receivers: Receivers, seen: list[Seen]
) -> Sequence[WorkerProcess]:
    """The webhook hangs and the mail server is down at the second attempt; then the worker is
    killed; before the third, another worker finds both well.
    """
    webhook, mail = receivers.webhook, receivers.mail
    webhook.otherwise = Answer(after=asyncio.Event())
    await mail.go()
    first = await worker_of(bench, ILL, receivers)
    await bench.lab.start(ILL, task_queue=ILL.workflow_id)
    await until(lambda: bool(webhook.asked), "the webhook hangs")
    await until(lambda: waits_for(bench, ILL, 3), "the second attempt has failed")
    seen.append(
        Seen(await requests(bench, ILL), receivers.waiting(), len(webhook.asked), receivers.got())
    )
    await bench.lab.signal(first.child, signal.SIGKILL)
    webhook.otherwise = Answer()
    await mail.come()
    second = await worker_of(bench, ILL, receivers)
    await until(lambda: not receivers.waiting(), "what the dead worker left is delivered")
    seen.append(
        Seen(await requests(bench, ILL), receivers.waiting(), len(webhook.asked), receivers.got())
    )
    await completed(bench, ILL, receivers)
    return [first, second]


@dataclass(frozen=True)
class Experiment:
    well: Outcome
    ill: Outcome
    before_the_kill: Seen
    after_the_restart: Seen


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def experiment(
    bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Experiment]:
    """Both stories at once: most of them is waiting."""
    folder = tmp_path_factory.mktemp("alerts")
    seen: list[Seen] = []
    async with (
        bench_in(folder, StackSpec(persistent=False)) as bench,
        receivers_in(folder / "well") as well,
        receivers_in(folder / "ill") as ill,
    ):
        for asked in (WELL, ILL):
            await fail_twice(bench, asked)
        of_well, of_ill = await asyncio.gather(
            all_is_well(bench, well), all_goes_wrong(bench, ill, seen)
        )
        yield Experiment(
            Outcome(await bench.workflow(WELL), well, of_well),
            Outcome(await bench.workflow(ILL), ill, of_ill),
            *seen,
        )


async def test_an_activity_that_fails_twice_gives_two_alerts_on_each_channel(
    experiment: Experiment,
) -> None:
    well = experiment.well
    (worker,) = well.workers
    expected = Counter({well.alert(attempt, worker): 1 for attempt in (2, 3)})
    assert well.receivers.got() == (expected, expected)
    assert well.receivers.mail.recipients() == [OPS, OPS]


async def test_alerts_change_nothing_of_the_workflow(experiment: Experiment) -> None:
    for outcome in (experiment.well, experiment.ill):
        assert outcome.workflow.status is Status.COMPLETED
        attempts = {a.kind: a.attempt for a in outcome.workflow.activities}
        assert attempts.pop("generate_character") == 3
        assert set(attempts.values()) == {1}


async def test_each_further_attempt_is_one_log_line(experiment: Experiment) -> None:
    for outcome in (experiment.well, experiment.ill):
        # The last attempt is the last worker's, the one before it the first worker's.
        by_attempt = {2: outcome.workers[0], 3: outcome.workers[-1]}
        assert [line["attempt"] for line in outcome.logged()] == [2, 3]
        for line in outcome.logged():
            attempt = line["attempt"]
            assert isinstance(attempt, int)
            assert line["worker"] == identity(by_attempt[attempt])
            assert line["workflow_id"] == line["task_queue"] == outcome.workflow.workflow_id
            assert (line["workflow_type"], line["activity"]) == (
                "SingleVideo",
                "generate_character",
            )
            assert line["maximum_attempts"] == 3


async def test_a_webhook_that_hangs_does_not_hold_up_the_activity(experiment: Experiment) -> None:
    before = experiment.before_the_kill
    # The second attempt has asked the API and failed, and the webhook has not answered yet.
    assert before.requests == 2
    assert before.asked == 1
    assert before.got == (Counter(), Counter())
    assert sorted(Path(name).parent.name for name in before.waiting) == [f"email-{OPS}", "webhook"]


async def test_a_killed_workers_alerts_are_delivered_by_the_next_one(
    experiment: Experiment,
) -> None:
    expected = Counter({experiment.ill.alert(2, experiment.ill.workers[0]): 1})
    after = experiment.after_the_restart
    assert after.got == (expected, expected)


async def test_each_alert_is_accepted_once_over_all_that(experiment: Experiment) -> None:
    ill = experiment.ill
    first, second = ill.workers
    expected = Counter({ill.alert(2, first): 1, ill.alert(3, second): 1})
    assert ill.receivers.got() == (expected, expected)
    # Only the one that hung was asked for twice.
    assert len(ill.receivers.webhook.asked) == 3


async def test_no_secret_is_in_a_log_or_file(experiment: Experiment) -> None:
    for outcome in (experiment.well, experiment.ill):
        text = outcome.all_text()
        assert "workflows.alerts" in text
        assert PASSWORD not in text
        assert PATH not in text
