"""A fleet that loses a worker every two seconds, for three minutes, with a hundred workflows."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

import psutil
import pytest
import pytest_asyncio

from chaos import workload
from chaos.cluster.fleet import FleetProcess
from chaos.cluster.stack import StackSpec
from chaos.evidence import Evidence, save_expectations, save_histories, save_paid_calls
from chaos.fake_api.settings import LatencyChange
from chaos.history import Status
from chaos.invariants import Invariant
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.money import billed_at_most_expected
from chaos.invariants.recovery import recovers_within_its_bound
from chaos.journal import Event
from chaos.scenarios import COMMON
from chaos.waiting import wait_until
from tests.integration.conftest import BenchIn
from tests.integration.money.sweep import publish
from tests.integration.workflows.bench import Bench
from workflows.paid_calls import State

pytestmark = [
    pytest.mark.storm,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

WORKERS = 3
WORKFLOWS = 100
STORM_SECONDS = 180.0
INTERVAL_SECONDS = 2.0
CONVERGE_SECONDS = 420.0
SEED = 20261124
VIDEOS = 3
RENDERING_SECONDS = 25.0
"""So that the work outlasts the storm: the provider renders many at once, but each video of a
series waits for the one before it."""

# What any worker's death explains: more attempts, and a doubtful call is counted below, exactly.
# A recovery that is struck again before it is over belongs to no single kill, so it has no bound.
NOT_HERE = (attempts_are_as_expected, billed_at_most_expected, recovers_within_its_bound)
HOLDS = [check for check in COMMON if check not in NOT_HERE]
DOUBTFUL = {State.AMBIGUOUS, State.LATE}


@dataclass(frozen=True)
class Storm:
    """What it left behind: `killed` are the processes that got a SIGKILL, `log` is the fleet's."""

    evidence: Evidence
    killed: Sequence[int]
    log: str
    open_at_the_end: int
    seconds: float


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def storm(bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory) -> Storm:
    async with bench_in(tmp_path_factory.mktemp("storm"), StackSpec()) as bench:
        latencies = LatencyChange(image_seconds=0.5, video_seconds=RENDERING_SECONDS)
        await bench.lab.stack.api.control.set_latencies(latencies)
        # A step may be hit more than once here; else its operation would wait for somebody.
        fleet = await bench.lab.stack.start_fleet(WORKERS, settings={"AMBIGUOUS_RESENDS": "5"})
        began = time.monotonic()
        for number in range(1, WORKFLOWS + 1):
            await bench.lab.start(workload.series(f"storm-{number:03}", VIDEOS))
        killed = await _kill_now_and_then(bench, fleet)
        open_at_the_end = await _still_open(bench)
        await bench.lab.converge(CONVERGE_SECONDS)
        seconds = time.monotonic() - began
        await fleet.child.terminate()
        evidence = await _evidence(bench)
        found = Storm(evidence, killed, fleet.child.log.read_text(), open_at_the_end, seconds)
        publish(_report(found), "storm.md")
        return found


async def _kill_now_and_then(bench: Bench, fleet: FleetProcess) -> Sequence[int]:
    """Which of the fleet's processes goes next is drawn from the seed."""
    draw = random.Random(SEED)  # noqa: S311 - nothing secret is drawn
    killed = []
    end = time.monotonic() + STORM_SECONDS
    while time.monotonic() < end:
        await asyncio.sleep(INTERVAL_SECONDS)  # the schedule itself
        pids = sorted(fleet.pids)
        if pids:
            pid = draw.choice(pids)
            with suppress(psutil.NoSuchProcess):
                fleet.strike(pid, signal.SIGKILL)
                killed.append(pid)
    bench.lab.healed(fleet.child.name)
    return killed


async def _still_open(bench: Bench) -> int:
    ended = [await bench.lab.has_ended(asked.workflow_id) for asked in bench.lab.expectations]
    return ended.count(False)


async def _evidence(bench: Bench) -> Evidence:
    """With the prompts of doubtful calls named: only the ledger knows which these are."""
    ids = [asked.workflow_id for asked in bench.lab.expectations]
    save_expectations(bench.folder, bench.lab.expectations)
    save_paid_calls(bench.lab.stack.ledger_url, bench.folder, ids)
    await save_histories(bench.lab.client, bench.folder, ids)
    return await asyncio.to_thread(Evidence.load, bench.folder)


def _doubtful(evidence: Evidence) -> Mapping[str, int]:
    """How many calls of each prompt may have been billed in vain."""
    return {
        prompt: sum(call.state in DOUBTFUL for call in evidence.calls_for(plan, prompt))
        for plan in evidence.expectations
        for prompt in plan.prompts
    }


def _bills(evidence: Evidence, prompt: str) -> int:
    return sum(bill.prompt == prompt for bill in evidence.billed)


def _count(log: str, what: str) -> int:
    """The fleet's own tally, which it logs when it ends."""
    tally = log.rpartition("all workers have ended:")[2]
    found = re.search(rf"\b{what}=(\d+)", tally)
    assert found, tally
    return int(found[1])


def _report(storm: Storm) -> str:
    evidence = storm.evidence
    ideal = sum((evidence.ideal_cost_usd(plan) for plan in evidence.expectations), Decimal(0))
    billed = sum((bill.amount_usd for bill in evidence.billed), Decimal(0))
    certain = [p for p, calls in _doubtful(evidence).items() if not calls]
    certain_bills = sum(_bills(evidence, prompt) for prompt in certain)
    completed = sum(w.status is Status.COMPLETED for w in evidence.workflows.values())
    rows = {
        "workflows, completed": f"{completed} of {WORKFLOWS}",
        "SIGKILLs": len(storm.killed),
        "attempts failed over": _count(storm.log, "failed_over"),
        "attempts over already": _count(storm.log, "over"),
        "attempts left to the heartbeats": _count(storm.log, "left_to_heartbeats"),
        "billed ÷ ideal, steps without a doubtful call": f"{certain_bills / len(certain):.2f}",
        "doubtful calls": sum(_doubtful(evidence).values()),
        "billed ÷ ideal, all": f"{billed / ideal:.3f}",
        "wall time": f"{storm.seconds:.0f} s",
    }
    return "| | |\n|---|---|\n" + "".join(f"| {k} | {v} |\n" for k, v in rows.items())


async def test_a_worker_was_killed_every_two_seconds_while_there_was_work(storm: Storm) -> None:
    signaled = [e for e in storm.evidence.journal if e.event is Event.SIGNALED]

    assert len(storm.killed) >= 0.8 * STORM_SECONDS / INTERVAL_SECONDS
    assert [e.pid for e in signaled if e.signal == "SIGKILL"] == storm.killed
    assert storm.log.count("(SIGKILL)") == len(storm.killed)
    assert storm.open_at_the_end > 0


async def test_all_workflows_complete(storm: Storm) -> None:
    ends = {w.workflow_id: w.status for w in storm.evidence.workflows.values()}

    assert len(ends) == WORKFLOWS
    assert {name for name, end in ends.items() if end is not Status.COMPLETED} == set()


async def test_what_was_never_in_doubt_is_billed_exactly_once(storm: Storm) -> None:
    certain = [p for p, calls in _doubtful(storm.evidence).items() if not calls]

    assert len(certain) > WORKFLOWS
    assert {p for p in certain if _bills(storm.evidence, p) != 1} == set()


async def test_what_is_billed_more_often_is_openly_in_doubt(storm: Storm) -> None:
    for prompt, calls in _doubtful(storm.evidence).items():
        assert 1 <= _bills(storm.evidence, prompt) <= 1 + calls


@pytest.mark.parametrize("check", HOLDS, ids=lambda check: check.name)
async def test_the_invariants_hold(check: Invariant, storm: Storm) -> None:
    finding = await asyncio.to_thread(check.examine, storm.evidence)

    assert finding.problems == ()


async def test_attempts_were_failed_over_and_the_fleet_counts_them(storm: Storm) -> None:
    lines = re.findall(r"is lost \(SIGKILL\): failed_over=(\d+)", storm.log)

    assert sum(map(int, lines)) == _count(storm.log, "failed_over") > 0
    assert _count(storm.log, "losses") == len(storm.killed)


async def test_no_worker_is_left(storm: Storm) -> None:
    def is_gone(pid: int) -> bool:
        return not psutil.pid_exists(pid)

    started = [int(pid) for pid in re.findall(r"started \(pid (\d+)\)", storm.log)]
    await wait_until(
        lambda: all(map(is_gone, started)), what="all workers are gone", deadline_seconds=10
    )
