"""What a full disk or a damaged database does, and that neither costs anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.seen import polls_of, video
from tests.chaos.video.fake_api.ledger import Call, Received

SERVER = "temporal-server"
DATABASE = "temporal.db"

_PAID = {Call.IMAGE, Call.VIDEO_START}
_NO_FILE = "no file"


def disk_was_full(target: str, *words: str) -> Invariant:
    """Not a byte was left on the process's disk until room was made; meanwhile it said all that."""

    @proof(f"disk_was_full[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        full = _fault(evidence, target, "disk_full")
        if full is None:
            yield f"the disk of {target} was not filled"
            return
        told = f"the disk of {target} has 0 bytes left"
        if not any(entry.text == told and entry.at > full.at for entry in evidence.journal):
            yield f"the disk of {target} was not seen to be full"
        room = evidence.first_entry(Event.HEALED, after=full.at, target=target)
        if room is None:
            yield f"no room was made on the disk of {target}"
            return
        said = [e.text for e in evidence.journal if e.kind == "said" and full.at < e.at < room.at]
        for part in words:
            if f"{target}: {part}" not in said:
                yield f"{target} did not say {part!r} while its disk was full"

    return judge


def nothing_is_asked_for_while_full(target: str, workflow_id: str) -> Invariant:
    """A workflow begun on a full disk sends nothing that is paid for until there is room."""

    def judge(evidence: Evidence) -> Iterator[str]:
        full = _fault(evidence, target, "disk_full")
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

    def judge(evidence: Evidence) -> Iterator[str]:
        full = _fault(evidence, target, "disk_full")
        bills = [bill.at for bill in evidence.billed if bill.prompt == prompt]
        if full is None or not bills or bills[0] >= full.at:
            yield f"{prompt!r} was not paid for before the disk was full"
            return
        asked = next(e for e in evidence.expectations if e.workflow_id == workflow_id)
        calls = evidence.calls_for(asked, prompt)
        settled = calls[0].settled_at if len(calls) == 1 else None
        if settled is None:
            yield f"{prompt!r} took {len(calls)} requests, or has no outcome on record"
        elif settled <= full.at:
            yield f"{prompt!r} was recorded before the disk was full"

    return Invariant(f"paid_reply_waits_for_room[{workflow_id}]", judge)


def database_was_damaged(how: str, workflow_id: str, prompt: str) -> Invariant:
    """The file was changed while the server stood still and a workflow awaited its video."""

    @proof(f"database_was_damaged[{how}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        damage = _damage(evidence, how)
        if damage is None:
            yield "the database was not damaged"
            return
        hashes = re.findall(rf"sha256 \w+|{_NO_FILE}", damage.text)
        if len(hashes) != 2 or hashes[0] in {hashes[1], _NO_FILE}:
            yield f"the database's file did not change: {damage.text}"
        if _is_up(evidence, damage.at):
            yield "the server ran while its database was damaged"
        bill = video(evidence, prompt)
        if bill is None or not any(poll.at < damage.at for poll in polls_of(evidence, bill)):
            yield f"{workflow_id} did not await its video before the damage"

    return judge


def damage_is_noticed(how: str, seen: str) -> Invariant:
    """The damage shows, and as it should: nobody may take the damaged database for a sound one."""

    def judge(evidence: Evidence) -> Iterator[str]:
        damage = _damage(evidence, how)
        if damage is None:
            yield "the database was not damaged"
            return
        later = (e for e in evidence.journal if e.target == DATABASE and e.at > damage.at)
        found = next(later, None)
        if found is None:
            yield "nobody looked at what the damage had done"
        elif found.kind != seen:
            yield f"the damage shows as {found.kind}, not {seen}: {found.text}"

    return Invariant(f"damage_is_noticed[{how}]", judge)


def paid_between_backup_and_damage(workflow_id: str) -> Invariant:
    """All that a workflow paid for it paid for after the backup and before the damage, and after
    the backup was restored it came to these steps once more.
    """

    @proof("paid_between_backup_and_damage")
    def judge(evidence: Evidence) -> Iterator[str]:
        moments = [_storage(evidence, kind) for kind in ("backup", "damage", "restore")]
        if None in moments:
            yield "there was no backup, no damage or no restoration"
            return
        backup, damage, restored = (entry.at for entry in moments if entry)
        expected = next(e for e in evidence.expectations if e.workflow_id == workflow_id)
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

    def judge(evidence: Evidence) -> Iterator[str]:
        damage = _storage(evidence, "damage")
        for request in _paid_requests(evidence, workflow_id):
            if damage and request.at > damage.at:
                yield f"{request.call} {request.prompt!r} was asked for again"

    return Invariant("nothing_is_asked_for_after_the_damage", judge)


def _paid_requests(evidence: Evidence, workflow_id: str) -> Sequence[Received]:
    prompts = {p for e in evidence.expectations if e.workflow_id == workflow_id for p in e.prompts}
    return [r for r in evidence.received if r.call in _PAID and r.prompt in prompts]


def _fault(evidence: Evidence, target: str, kind: str) -> Entry | None:
    faults = (e for e in evidence.journal if e.event is Event.FAULT)
    return next((e for e in faults if (e.target, e.kind) == (target, kind)), None)


def _storage(evidence: Evidence, kind: str) -> Entry | None:
    """What was done to the database's file, or seen of it."""
    entries = (e for e in evidence.journal if e.event is Event.STAGE and e.target == DATABASE)
    return next((e for e in entries if e.kind == kind), None)


def _damage(evidence: Evidence, how: str) -> Entry | None:
    fault = _fault(evidence, SERVER, how)
    damage = _storage(evidence, "damage")
    return damage if fault and damage and fault.at <= damage.at else None


def _is_up(evidence: Evidence, at: datetime) -> bool:
    """Whether the last that was seen of the server's process before is not its end."""
    seen = [
        entry.event
        for entry in evidence.journal
        if entry.target == SERVER and entry.at < at and entry.event in {Event.STARTED, Event.EXITED}
    ]
    return not seen or seen[-1] is Event.STARTED
