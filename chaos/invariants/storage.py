"""What a full disk or a damaged database must do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof

SERVER = "temporal-server"
DATABASE = "temporal.db"

_NO_FILE = "no file"


def disk_was_full(target: str, *words: str) -> Invariant:
    """The process's disk was full until room was made; meanwhile it logged each of these texts."""

    @proof(f"disk_was_full[{target}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        full = fault_at(evidence, target, "disk_full")
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


def database_was_damaged(how: str) -> Invariant:
    """The file was changed while the server was stopped."""

    @proof(f"database_was_damaged[{how}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        damage = damage_done(evidence, how)
        if damage is None:
            yield "the database was not damaged"
            return
        hashes = re.findall(rf"sha256 \w+|{_NO_FILE}", damage.text)
        if len(hashes) != 2 or hashes[0] in {hashes[1], _NO_FILE}:
            yield f"the database's file did not change: {damage.text}"
        if _is_up(evidence, damage.at):
            yield "the server ran while its database was damaged"

    return judge


def damage_is_noticed(how: str, seen: str) -> Invariant:
    """The damage is detected as expected: a damaged database must not pass as sound."""

    def judge(evidence: Evidence) -> Iterator[str]:
        damage = damage_done(evidence, how)
        if damage is None:
            yield "the database was not damaged"
            return
        later = (e for e in evidence.journal if e.target == DATABASE and e.at > damage.at)
        found = next(later, None)
        if found is None:
            yield "nothing recorded the effect of the damage"
        elif found.kind != seen:
            yield f"the damage shows as {found.kind}, not {seen}: {found.text}"

    return Invariant(f"damage_is_noticed[{how}]", judge)


def fault_at(evidence: Evidence, target: str, kind: str) -> Entry | None:
    """The first fault of that kind at a target."""
    faults = (e for e in evidence.journal if e.event is Event.FAULT)
    return next((e for e in faults if (e.target, e.kind) == (target, kind)), None)


def done_to_storage(evidence: Evidence, kind: str) -> Entry | None:
    """What was done to the database's file, or seen of it."""
    entries = (e for e in evidence.journal if e.event is Event.STAGE and e.target == DATABASE)
    return next((e for e in entries if e.kind == kind), None)


def damage_done(evidence: Evidence, how: str) -> Entry | None:
    """When the database was damaged as a fault had announced."""
    fault = fault_at(evidence, SERVER, how)
    damage = done_to_storage(evidence, "damage")
    return damage if fault and damage and fault.at <= damage.at else None


def _is_up(evidence: Evidence, at: datetime) -> bool:
    """Whether the server's process was running at that time."""
    seen = [
        entry.event
        for entry in evidence.journal
        if entry.target == SERVER and entry.at < at and entry.event in {Event.STARTED, Event.EXITED}
    ]
    return not seen or seen[-1] is Event.STARTED
