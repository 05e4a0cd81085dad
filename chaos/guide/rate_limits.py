"""Start workflows faster than the namespace's rate limit lets through: work is late, never lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.evidence.journal import Event
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, StartOptions, start_workflow
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import RateLimited
from chaos.guide.heading import Heading
from chaos.guide.load import invariants_of
from chaos.guide.phases import (
    Phases,
    begin,
    calls_of,
    latencies,
    latency,
    load_of,
    span_seconds,
    usage,
)
from chaos.invariants import proof
from chaos.invariants.figures import SECONDS, Figure
from chaos.invariants.proofs.limits import (
    attempts_of,
    pauses_seconds,
    rate_limit_was_hit,
    throttled,
)
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.wire.journal import Called, read_wire
from chaos.wire.limits import is_limited

_SHARE = 1 / 3
"""Of the calls that the load makes a second undisturbed, so many pass under the limit."""

_DEADLINE_SECONDS = 240.0

_LONGEST_PAUSE_SECONDS = 12.0
"""Between two tries of a refused call: the SDKs' 10 s, and what chance adds to it."""

_ASK_SECONDS = 0.5

STARTS, POLLS, REPORTS, HEARTBEATS, OTHERS = "starts", "polls", "reports", "heartbeats", "others"

GIVEN_UP = "start_given_up"
"""The kind of a journal entry: the SDK of the client has tried for as long as it does."""

_WHO = {
    "StartWorkflowExecution": STARTS,
    "PollWorkflowTaskQueue": POLLS,
    "PollActivityTaskQueue": POLLS,
    "RecordActivityTaskHeartbeat": HEARTBEATS,
    "RecordActivityTaskHeartbeatById": HEARTBEATS,
}


def _scenario(target: Target) -> Scenario:
    on_server = frozenset({Topology.DEV, Topology.POSTGRES})
    return Scenario(
        name="",
        title="",
        cases=(
            _case(target, "wire", StackSpec(shares_server=True, wire=True), frozenset(Topology)),
            _case(target, "server", StackSpec(wire=True), on_server),
        ),
    )


def _case(
    target: Target, by: Literal["wire", "server"], stack: StackSpec, on: frozenset[Topology]
) -> Case:
    async def experiment(lab: Lab) -> None:
        await begin(lab)
        client = await lab.stack.client_on_wire()
        undisturbed, limited = (load_of(target, lab.options, phase) for phase in (0, 1))
        await asyncio.gather(*(_start(lab, spec, client) for spec in undisturbed))
        await lab.converge(lab.step_deadline_seconds)
        measured = await asyncio.to_thread(_Measured.of, lab.stack.evidence_folder)
        async with lab.during(RateLimited(per_second=measured.limit, by=by)):
            await asyncio.gather(*(_start(lab, spec, client) for spec in limited))
            with suppress(DeadlineExceededError):
                if by == "server":
                    await _until_all_closed(lab)
                else:
                    await lab.converge(_DEADLINE_SECONDS)

    return Case(
        name=by,
        target=target,
        experiment=experiment,
        load=lambda options: [spec for phase in (0, 1) for spec in load_of(target, options, phase)],
        proofs=(rate_limit_was_hit, work_was_slower),
        invariants=invariants_of(target),
        figures=figures,
        stack=stack,
        topologies=on,
        modes=frozenset({Mode.MOCKED}),
        about_seconds=60,
    )


async def _start(lab: Lab, spec: WorkflowSpec, client: Client) -> None:
    """Start one as a patient client does: again, when the SDK has given it up."""

    async def through(_: Client, spec: WorkflowSpec, options: StartOptions) -> str:
        return await start_workflow(client, spec, options)

    async def taken() -> bool:
        try:
            await lab.start(spec, starter=through)
        except RPCError as error:
            told = f"the client has given up the start of {spec.workflow_id}: {error}"
            lab.journal.add(Event.STAGE, told, kind=GIVEN_UP)
            return False
        except WorkflowAlreadyStartedError as error:  # it was taken, and the answer was lost
            lab.started.setdefault(error.workflow_id, []).append(error.run_id or "")
        return True

    await wait_until(
        taken, what=f"{spec.workflow_id} is started", deadline_seconds=_DEADLINE_SECONDS
    )


async def _until_all_closed(lab: Lab) -> None:
    """Wait until so many workflows have ended as were started. It asks for their number alone,
    for which the server has another limit: to ask for each would take calls from the workers.
    """

    async def are_closed() -> bool:
        try:
            told = await lab.client.count_workflows(
                "ExecutionStatus != 'Running'", rpc_timeout=timedelta(seconds=5)
            )
        except RPCError:
            return False
        return told.count >= len(lab.specs)

    await wait_until(
        are_closed,
        what="all workflows have ended",
        deadline_seconds=_DEADLINE_SECONDS,
        interval_seconds=_ASK_SECONDS,
    )


@dataclass(frozen=True)
class _Measured:
    """What the undisturbed load asked of the server: from its first start to its last report."""

    calls: int
    seconds: float

    @classmethod
    def of(cls, folder: Path, until: datetime | None = None) -> _Measured:
        """By the wire's record of a case, as far as that was before the limit came."""
        found = sorted(_calls(folder), key=lambda call: call.at)
        before = [call for call in found if until is None or call.at < until]
        starts = [call.at for call in before if _who(call) == STARTS]
        ends = [call.at for call in before if _who(call) == REPORTS]
        if not starts or not ends:
            return cls(0, 0.0)
        within = [call for call in before if starts[0] <= call.at <= ends[-1]]
        return cls(len(within), (ends[-1] - starts[0]).total_seconds())

    @property
    def per_second(self) -> float:
        """How many in a second."""
        return self.calls / self.seconds if self.seconds else 0.0

    @property
    def limit(self) -> float:
        """What the limit lets pass a second: a whole number, as the server has it."""
        return float(max(1, round(_SHARE * self.per_second)))


def _calls(folder: Path) -> Sequence[Called]:
    """What the workers and the client asked of the server, where the limit concerns it."""
    calls = calls_of(read_wire(folder))
    return [call for call in calls if is_limited(call.method)]


def _who(call: Called) -> str:
    return _WHO.get(call.method) or (REPORTS if call.method.startswith("Respond") else OTHERS)


@proof("work_was_slower")
def work_was_slower(evidence: Evidence) -> Iterator[str]:
    """Proof: workflows took longer under the limit than undisturbed, or nobody felt it."""
    phases = Phases.of(evidence)
    if not phases.can_be_compared:
        yield "no workflow ended undisturbed, or none under the limit: there is nothing to compare"
        return
    fast, slow = latency(phases.undisturbed), latency(phases.limited[0].workflows)
    if slow <= fast:
        yield f"workflows took {slow:.2f} s under the limit and {fast:.2f} s undisturbed"


def figures(evidence: Evidence) -> Sequence[Figure]:
    """What was refused and to whom, and how much later all was done."""
    phases = Phases.of(evidence)
    if not phases.can_be_compared:
        return ()
    limited = phases.limited[0].workflows
    measured = _Measured.of(evidence.folder, phases.limited[0].fault.at)
    refused = Counter(_who(call) for call in throttled(read_wire(evidence.folder)))
    waits = [wait for each in limited if (wait := _start_seconds(evidence, each))]
    given_up = [each for each in evidence.journal if each.kind == GIVEN_UP]
    return [
        Figure(name="calls, undisturbed", value=measured.per_second, unit="calls/s"),
        Figure(name="calls that the limit lets pass", value=measured.limit, unit="calls/s"),
        *(
            Figure(name=f"refused {who}", value=refused[who], unit="calls")
            for who in (STARTS, POLLS, REPORTS, HEARTBEATS, OTHERS)
        ),
        *latencies(phases),
        *usage(evidence, phases),
        Figure(name="longest start, by the client", value=max(waits, default=0.0), unit=SECONDS),
        Figure(name="starts that the client gave up and repeated", value=len(given_up)),
        Figure(
            name="all workflows, under the limit",
            value=span_seconds(limited),
            unit=SECONDS,
            bound=_bound(phases, measured),
        ),
    ]


def _start_seconds(evidence: Evidence, workflow: Workflow) -> float | None:
    """From when the client began to start it until it was there."""
    asked = next((e for e in evidence.journal if e.workflow_id == workflow.workflow_id), None)
    return (workflow.started_at - asked.at).total_seconds() if asked else None


def _bound(phases: Phases, measured: _Measured) -> float:
    """How long all may take: as long as undisturbed, and twice as long as their calls take at that
    rate, because nobody asks while all wait to ask again; one pause of a client before and one
    after; and the timeout and the pause after it of each attempt whose report was given up.
    """
    limited = phases.limited[0].workflows
    lost = [_lost_seconds(each) for workflow in limited for each in workflow.activities]
    return (
        span_seconds(phases.undisturbed)
        + 2 * measured.calls / measured.limit
        + 2 * _LONGEST_PAUSE_SECONDS
        + max(lost, default=0.0)
    )


def _lost_seconds(activity: Activity) -> float:
    """What it cost that an attempt's report never came."""
    timeout = (
        activity.heartbeat_seconds if activity.has_heartbeats else activity.start_to_close_seconds
    )
    return (attempts_of(activity) - 1) * timeout + pauses_seconds(activity)


HEADING = Heading(
    name="rate_limits",
    title="Validate rate limiting behavior",
    watches="refused calls by kind, workflow latency, what clients see",
    make=_scenario,
)
