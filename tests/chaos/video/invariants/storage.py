"""That neither a full disk nor a damaged database costs anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery.retries import RESTORE
from chaos.invariants.storage import damage_done, done_to_storage, fault_at
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call, Received
from tests.chaos.video.invariants.seen import polls_of, video

_PAID = {Call.IMAGE, Call.VIDEO_START}


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
        for request in _paid_requests(evidence, workflow_id):
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


def paid_between_backup_and_damage(workflow_id: str) -> Invariant:
    """All that a workflow paid for it paid for after the backup and before the damage, and after
    the backup was restored it came to these steps once more.
    """

    @proof("paid_between_backup_and_damage")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        moments = [done_to_storage(evidence, kind) for kind in ("backup", "damage", RESTORE)]
        if None in moments:
            yield "there was no backup, no damage or no restoration"
            return
        backup, damage, restored = (entry.at for entry in moments if entry)
        expected = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        for prompt in expected.prompts:
            bills = [bill.at for bill in evidence.billed if bill.prompt == prompt]
            if not bills or not backup < bills[0] < damage:
                yield f"{prompt!r} was not paid for between the backup and the damage"
        workflow = evidence.workflows.get(workflow_id)
        for kind in ("generate_character", "start_video"):
            done = [a.closed_at for a in workflow.activities if a.kind == kind] if workflow else []
            if not any(at and at > restored for at in done):
                yield f"{kind} was not come to again after the backup was restored"

    return judge


def nothing_is_asked_for_after_the_damage(workflow_id: str) -> Invariant:
    """The workers' ledger answers for all that was paid for before."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        damage = done_to_storage(evidence, "damage")
        for request in _paid_requests(evidence, workflow_id):
            if damage and request.at > damage.at:
                yield f"{request.call} {request.prompt!r} was asked for again"

    return Invariant("nothing_is_asked_for_after_the_damage", judge)


def _paid_requests(evidence: VideoEvidence, workflow_id: str) -> Sequence[Received]:
    prompts = {p for e in evidence.specs if e.workflow_id == workflow_id for p in e.prompts}
    return [r for r in evidence.received if r.call in _PAID and r.prompt in prompts]


def awaited_before_the_damage(how: str, workflow_id: str, prompt: str) -> Invariant:
    """A workflow awaited its video when the database was damaged."""

    @proof(f"awaited_before_the_damage[{how}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        damage, bill = damage_done(evidence, how), video(evidence, prompt)
        awaited = bill and damage and any(p.at < damage.at for p in polls_of(evidence, bill))
        if not awaited:
            yield f"{workflow_id} did not await its video before the damage"

    return judge
