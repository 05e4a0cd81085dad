"""A disk is full: nothing is paid for that cannot be kept, and what is paid for waits for room.

It is that of a worker's artifacts, of its payment journal, or of the server's database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from temporalio.service import RPCError

from chaos.environment.disk import FOLDER, SmallDisk, mounting, why_there_are_none
from chaos.environment.server import SERVER
from chaos.environment.temporal import SHARED_SERVER, StackSpec, Topology
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from chaos.faults import DiskFull, disk_of
from chaos.invariants import Invariant
from chaos.invariants.storage import disk_was_full, fault_at
from chaos.process.child import Child
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, OWN_SERVERS, mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Billed
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.invariants.resumption import resumed_from_its_checkpoint
from tests.chaos.video.invariants.seen import paid_requests_of
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO
from workflows.payments.identity import sqlite_url

SERVER_DISK_MIB = 16

WAITS = "is paid for and waits to be stored"
MAKE_ROOM = "cannot be written to (No space left on device); make room"
JOURNAL_MAKE_ROOM = "no room left on its disk; make room"
SERVER_IS_FULL = "database or disk is full"

_WORKER = "worker-1"
_PAID = specs.single("full-paid")
_REFUSED = specs.single("full-refused")
# It fails for want of room as long as there is none: what the policy waits is enough here.
_PUT_OFF = specs.single("full-put-off").model_copy(update={"attempts": {"open_operation": 2}})
_AWAITED = specs.single("full-awaited")
_LATER = specs.single("full-later")


def artifacts(argv: Sequence[str] = VIDEO.worker) -> Callable[[VideoLab], Awaitable[None]]:
    """The disk of the artifacts is full when an image comes that was paid for, and another
    operation begins. That one fails at once, and is started again when there is room.
    """

    async def experiment(lab: VideoLab) -> None:
        image = await lab.set_breakpoint(BreakAt.IMAGE, _PAID.character_prompt, When.AFTER_BILLING)
        disk = await _worker_with_a_small_disk(lab, argv, "ARTIFACTS_DIR", str)
        try:
            await lab.start(_PAID)
            await image.reached(lab.step_deadline_seconds)
            async with lab.during(DiskFull(whose=_WORKER)):
                await lab.start(_REFUSED)
                await _until_ended_or_paid(lab, _REFUSED)
                await image.resume()
                await _until_said(lab, disk.owner, WAITS, _PAID)
            if await lab.has_ended(_REFUSED.workflow_id):
                await lab.start(_REFUSED)
            await lab.converge(lab.step_deadline_seconds)
        finally:
            disk.copy_out(lab.stack.evidence_folder / "artifacts")

    return experiment


def payment_journal(argv: Sequence[str] = VIDEO.worker) -> Callable[[VideoLab], Awaitable[None]]:
    """The payment journal's disk is full when a video was started and another operation begins."""

    async def experiment(lab: VideoLab) -> None:
        video = await lab.set_breakpoint(
            BreakAt.VIDEO_START, _PAID.video_prompts[0], When.AFTER_BILLING
        )
        disk = await _worker_with_a_small_disk(
            lab, argv, "PAYMENT_JOURNAL_URL", lambda disk: str(sqlite_url(disk / "paid.db"))
        )
        try:
            await lab.start(_PAID)
            await video.reached(lab.step_deadline_seconds)
            async with lab.during(DiskFull(whose=_WORKER)):
                await lab.start(_PUT_OFF)
                await _until_said(lab, disk.owner, JOURNAL_MAKE_ROOM, _PUT_OFF)
                await video.resume()
                await _until_said(lab, disk.owner, WAITS, _PAID)
            await lab.converge(lab.step_deadline_seconds)
        finally:
            # Nobody writes any more: all have ended. It goes to where the stack looks for it.
            disk.copy_out(lab.stack.placement.scratch)

    return experiment


async def server(lab: VideoLab) -> None:
    """The disk of the server is full while a video is awaited, and another operation begins.

    The server refuses it, and lives. So do the heartbeats of the wait, until there is room.
    """
    video = await lab.set_breakpoint(BreakAt.VIDEO, _AWAITED.video_prompts[0])
    await lab.worker()
    await lab.start(_AWAITED)
    async with lab.watched(_AWAITED.workflow_id):
        await video.reached(lab.step_deadline_seconds)
        await lab.until_polled(_AWAITED.video_prompts[0])
        async with lab.during(DiskFull(whose=SERVER)):
            await _is_refused(lab)
            await _until_said(lab, lab.stack.server.child, SERVER_IS_FULL, _AWAITED)
        await lab.start(_LATER)
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _is_refused(lab: VideoLab) -> None:
    try:
        await lab.start(_LATER)
    except RPCError as error:
        lab.note(f"the server takes no new work: {error}")
    else:
        lab.note("the server took new work, and has no room for it")


async def _worker_with_a_small_disk(
    lab: VideoLab, argv: Sequence[str], setting: str, value_of: Callable[[Path], str]
) -> SmallDisk:
    folder = lab.stack.placement.scratch / FOLDER
    worker = await lab.worker(argv=mounting(folder, argv), settings={setting: value_of(folder)})
    return disk_of(lab, worker.child.name)


async def _until_said(lab: VideoLab, child: Child, words: str, spec: VideoSpec) -> None:
    """Wait until a process says so, or its workflow has ended, which then shows why it did not."""

    async def is_said() -> bool:
        return words in child.log.read_text(errors="replace")

    async def is_known() -> bool:
        return await is_said() or await lab.has_ended(spec.workflow_id)

    await wait_until(
        is_known,
        what=f"{child.name} says {words!r}",
        deadline_seconds=lab.step_deadline_seconds,
    )
    if await is_said():
        lab.journal.add(Event.STAGE, f"{child.name}: {words}", target=child.name, kind="said")


async def _until_ended_or_paid(lab: VideoLab, spec: VideoSpec) -> None:
    async def is_known() -> bool:
        records = await lab.api.records()
        paid = any(isinstance(r, Billed) and r.prompt in spec.prompts for r in records)
        return paid or await lab.has_ended(spec.workflow_id)

    await wait_until(
        is_known,
        what=f"{spec.workflow_id} ends, or pays",
        deadline_seconds=lab.step_deadline_seconds,
    )


def nothing_is_asked_for_while_full(target: str, workflow_id: str) -> Invariant:
    """A workflow begun on a full disk sends nothing that is paid for until there is room."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        full = fault_at(evidence, target, "disk_full")
        room = evidence.first_entry(Event.HEALED, after=full.at, target=target) if full else None
        begun = [
            entry
            for entry in evidence.journal
            if entry.event is Event.WORKFLOW and entry.workflow_id == workflow_id
        ]
        if not full or not room or not begun or not full.at < begun[0].at < room.at:
            yield f"{workflow_id} was not started while the disk was full"
            return
        for request in paid_requests_of(evidence, workflow_id):
            if request.at < room.at:
                yield f"{request.call} {request.prompt!r} was asked for while the disk was full"

    return Invariant(f"nothing_is_asked_for_while_full[{workflow_id}]", judge)


def paid_reply_waits_for_room(target: str, workflow_id: str, prompt: str) -> Invariant:
    """What was paid for just before the disk was full is on record later, by the same request."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        full = fault_at(evidence, target, "disk_full")
        bills = [bill.at for bill in evidence.billed if bill.prompt == prompt]
        if full is None or not bills or bills[0] >= full.at:
            yield f"{prompt!r} was not paid for before the disk was full"
            return
        spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        calls = evidence.calls_for(spec, prompt)
        settled = calls[0].settled_at if len(calls) == 1 else None
        if settled is None:
            yield f"{prompt!r} took {len(calls)} requests, or has no outcome on record"
        elif settled <= full.at:
            yield f"{prompt!r} was recorded before the disk was full"

    return Invariant(f"paid_reply_waits_for_room[{workflow_id}]", judge)


SCENARIO = Scenario(
    name="disk_full",
    title="Disk Full",
    cases=(
        mocked_case(
            name="artifacts",
            experiment=artifacts(),
            load=lambda _: (_PAID, _REFUSED),
            proofs=(disk_was_full(_WORKER, WAITS),),
            invariants=(
                *COMMON,
                resumed_from_its_checkpoint(_REFUSED.workflow_id, (MAKE_ROOM,), kept=0),
                nothing_is_asked_for_while_full(_WORKER, _REFUSED.workflow_id),
                paid_reply_waits_for_room(_WORKER, _PAID.workflow_id, _PAID.character_prompt),
            ),
            topologies=OWN_SERVERS,
            needs=why_there_are_none,
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="ledger",  # as in the results of older runs
            experiment=payment_journal(),
            load=lambda _: (_PAID, _PUT_OFF),
            proofs=(disk_was_full(_WORKER, WAITS, JOURNAL_MAKE_ROOM),),
            invariants=(
                *COMMON,
                nothing_is_asked_for_while_full(_WORKER, _PUT_OFF.workflow_id),
                paid_reply_waits_for_room(_WORKER, _PAID.workflow_id, _PAID.video_prompts[0]),
            ),
            topologies=OWN_SERVERS,
            needs=why_there_are_none,
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="server",
            experiment=server,
            load=lambda _: (_AWAITED, _LATER),
            proofs=(disk_was_full(SERVER, SERVER_IS_FULL),),
            invariants=(
                *COMMON,
                nothing_is_asked_for_while_full(SERVER, _LATER.workflow_id),
            ),
            stack=StackSpec(disk_mib=SERVER_DISK_MIB),
            topologies=frozenset({Topology.DEV}),
            needs=why_there_are_none,
        ),
    ),
)
