"""Every kind of answer that a provider may give, before and after it has billed, on each call."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio
from pydantic import ValidationError

from chaos.environment.stack import StackSpec
from chaos.evidence.histories import save_histories
from chaos.evidence.history import Status
from chaos.evidence.spec import save_specs
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence, save_paid_calls
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import BenchIn
from tests.integration.money.sweep import publish
from workflows.models import CHARACTER, video_step
from workflows.payments.calls import State

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

PAID = {Call.IMAGE: CHARACTER, Call.VIDEO_START: video_step(1)}
ACTIVITY = {
    Call.IMAGE: "generate_character",
    Call.VIDEO_START: "start_video",
    Call.POLL: "await_video",
    Call.DOWNLOAD: "download_video",
}
GOOD = {FaultKind.DELAY, FaultKind.DRAFTS, FaultKind.INLINE}
LOST = {FaultKind.UNDELIVERED, FaultKind.EXPIRED}
WORKERS = 4


@dataclass(frozen=True)
class Answer:
    """One kind of answer to one call, at one moment."""

    call: Call
    kind: FaultKind
    when: When

    @property
    def spec(self) -> VideoSpec:
        return specs.single(f"{self.call}-{self.kind}-{self.when}".replace("_", "-"))

    @property
    def rule(self) -> FaultRule:
        prompts = self.spec.prompts
        return FaultRule(
            call=self.call,
            kind=self.kind,
            when=self.when,
            match=prompts[0] if self.call is Call.IMAGE else prompts[1],
            delay_seconds=0.5 if self.kind is FaultKind.DELAY else 0,
        )


def possible() -> Iterator[Answer]:
    for call in Call:
        for kind in FaultKind:
            for when in When:
                if kind in LOST:
                    continue  # somebody has to decide then: see test_dead_ends.py
                answer = Answer(call, kind, when)
                try:
                    _ = answer.rule
                except ValidationError:
                    continue  # no provider can answer so
                yield answer


ANSWERS = tuple(possible())


@dataclass(frozen=True)
class Expected:
    """What has to come of an answer. A poll is asked as often as it takes."""

    status: Status
    attempts: int
    bills: int
    doubtful: int
    requests: int | None


def expected(answer: Answer) -> Expected:
    """By the rules: see `workflows/api_errors.py` and `workflows/payments/execute.py`."""
    if answer.call is Call.POLL:  # one that fails is a part of the wait
        return Expected(Status.COMPLETED, 1, 1, 0, None)
    late = answer.when is When.AFTER_BILLING
    if answer.kind in GOOD:
        return Expected(Status.COMPLETED, 1, 1, 0, 1)
    if answer.kind is FaultKind.REDIRECT:  # followed where it is free, and only there
        paid = answer.call in PAID
        return Expected(
            Status.FAILED if paid else Status.COMPLETED, 1, 0 if paid else 1, 0, 1 if paid else 2
        )
    if answer.kind is FaultKind.RAI_FILTERED:
        return Expected(Status.FAILED, 1, int(late), 0, 1)
    if answer.kind is FaultKind.FAILED_OPERATION:  # begun again, and not charged before
        return Expected(Status.COMPLETED, 1, 1, 0, 2)
    # A 503 says that the request was not taken; all the others leave a paid call in doubt.
    doubtful = answer.call in PAID and answer.kind is not FaultKind.STATUS
    bills = 1 + (answer.call in PAID and late)
    return Expected(Status.COMPLETED, 2, bills, int(doubtful), 2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evidence(bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory) -> VideoEvidence:
    """A workflow for each answer, all at once on a few workers."""
    folder = tmp_path_factory.mktemp("answers")
    async with bench_in(folder, StackSpec(persistent=False)) as bench:
        lab = bench.lab
        for answer in ANSWERS:
            await lab.api.add_rule(answer.rule)
        argv = (sys.executable, "-m", "tests.integration.money.hasty")
        await asyncio.gather(*(lab.worker(argv=argv) for _ in range(WORKERS)))
        await asyncio.gather(*(lab.start(answer.spec) for answer in ANSWERS))
        await lab.converge(200)
        ids = [answer.spec.workflow_id for answer in ANSWERS]
        await save_specs(bench.folder, lab.specs, VIDEO.data_converter)
        save_paid_calls(lab.payment_journal_url, bench.folder, ids)
        await save_histories(lab.client, bench.folder, ids)
    return VideoEvidence.load(bench.folder, VIDEO.reading)


@pytest.fixture(scope="module")
def operations(evidence: VideoEvidence) -> Mapping[str, str]:
    """The prompt of each of the provider's operations and files."""
    return {
        name: bill.prompt
        for bill in evidence.billed
        for name in (bill.operation, bill.file)
        if name
    }


def requests(evidence: VideoEvidence, answer: Answer, operations: Mapping[str, str]) -> int:
    """How many requests of this call the provider saw for the workflow."""
    prompts = answer.spec.prompts
    return sum(
        (request.prompt or operations.get(request.operation or request.file or "")) in prompts
        for request in evidence.received
        if request.call is answer.call
    )


def states(evidence: VideoEvidence, answer: Answer) -> Sequence[State]:
    return [
        call.state
        for call in evidence.paid_calls
        if call.operation_id == answer.spec.workflow_id and call.step == PAID.get(answer.call)
    ]


def seen(evidence: VideoEvidence, answer: Answer, operations: Mapping[str, str]) -> Expected:
    """What came of an answer, by the three witnesses."""
    workflow = evidence.workflows[answer.spec.workflow_id]
    attempts = [a.attempt for a in workflow.activities if a.kind == ACTIVITY[answer.call]]
    prompt = answer.spec.prompts[0 if answer.call is Call.IMAGE else 1]
    bills = [bill for bill in evidence.billed if bill.prompt == prompt and bill.amount_usd]
    return Expected(
        status=workflow.status,
        attempts=max(attempts),
        bills=len(bills),
        doubtful=states(evidence, answer).count(State.IN_DOUBT),
        requests=None if answer.call is Call.POLL else requests(evidence, answer, operations),
    )


@pytest.fixture(scope="module", autouse=True)
def table(evidence: VideoEvidence, operations: Mapping[str, str]) -> None:
    """Left where the runs' reports are."""
    lines = ["| call | answer | when | ended | attempts | billed | ambiguous |", "|---" * 7 + "|"]
    for answer in ANSWERS:
        found = seen(evidence, answer, operations)
        lines.append(
            f"| {answer.call} | {answer.kind} | {answer.when} | {found.status} | {found.attempts} "
            f"| {found.bills} | {found.doubtful} |"
        )
    publish("\n".join(lines) + "\n", "answers.md")


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: a.spec.workflow_id)
async def test_an_answer_costs_and_leads_to_what_the_rules_say(
    answer: Answer, evidence: VideoEvidence, operations: Mapping[str, str]
) -> None:
    failure = evidence.workflows[answer.spec.workflow_id].failure_message

    assert seen(evidence, answer, operations) == expected(answer), failure
