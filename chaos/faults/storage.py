"""A disk is full, or the file of a dev server's database is damaged."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal

from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.disk import FOLDER, SmallDisk
from chaos.environment.server import DATABASE, SERVER, SIDECARS
from chaos.evidence.journal import Event
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab
from chaos.faults.base import Family, Fault
from chaos.invariants.recovery.retries import RESTORE
from chaos.process.child import ChildError

BACKUP = "temporal.backup.db"
"""A copy of the database, in the stack's scratch folder."""

_FLIPPED = 16
"""One of so many bytes of each record is changed."""


class DiskFull(Fault):
    """The small disk of the server, or of a worker that mounted one, is full."""

    family: ClassVar[Family] = Family.SERVER

    type: Literal["disk_full"] = "disk_full"
    whose: str

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "disk_full"

    @property
    def target(self) -> str:
        """Whose disk it is."""
        return self.whose

    async def inject(self, lab: Lab) -> None:
        """Fill it."""
        disk = disk_of(lab, self.whose)
        disk.fill()
        lab.note(f"the disk of {self.whose} has {disk.free_bytes} bytes left")

    async def heal(self, lab: Lab) -> None:
        """Make room again."""
        disk_of(lab, self.whose).make_room()


class Damage(StrEnum):
    """How the database's file is damaged. `bytes_flipped`: in all records of histories, which
    SQLite does not notice. `truncated`: its second half is cut off. `gone`: it is removed.
    """

    BYTES_FLIPPED = "bytes_flipped"
    TRUNCATED = "truncated"
    GONE = "gone"


class Seen(StrEnum):
    """How a server on a damaged file behaves: it refuses to start, does not know the workflow,
    cannot read it, or serves it as if nothing had happened.
    """

    REFUSED = "refused"
    LOST = "lost"
    UNREADABLE = "unreadable"
    SERVED = "served"


class DamagedDatabase(Fault):
    """The database of a stopped server is damaged; `BACKUP`, if there is one, is restored."""

    family: ClassVar[Family] = Family.SERVER

    type: Literal["damaged_database"] = "damaged_database"
    how: Damage
    seed: int = 0

    @property
    def kind(self) -> str:
        """The damage to the file."""
        return str(self.how)

    @property
    def target(self) -> str:
        """The dev server's process."""
        return SERVER

    async def inject(self, lab: Lab) -> None:
        """Damage the file, and record how."""
        file = database_of(lab)
        if lab.stack.server.child.is_alive:
            raise ChildError(f"{SERVER} must be stopped while its database is damaged.")
        before = _describe(file)
        done = _damage(file, self.how, random.Random(self.seed))  # noqa: S311 - not a secret
        _tell(lab, "damage", f"{done}; {before} before, {_describe(file)} after")

    async def heal(self, lab: Lab) -> None:
        """Restore the backup and start the server on it; nothing where there is no backup."""
        if (database_of(lab).parent / BACKUP).exists():
            await restore(lab)


def disk_of(lab: Lab, whose: str) -> SmallDisk:
    """The small disk of the server, or of a worker by its name."""
    if whose != SERVER:
        (owner,) = (w.child for w in lab.stack.workers if w.child.name == whose)
        return SmallDisk(owner, lab.stack.placement.scratch / FOLDER)
    if lab.stack.server.disk is None:
        raise ChildError("the server of this stack has no disk of its own: see StackSpec.disk_mib.")
    return lab.stack.server.disk


def database_of(lab: Lab) -> Path:
    """The file of the server's database."""
    if lab.stack.server.database is None:
        raise ChildError("the server of this stack keeps its data in memory.")
    return lab.stack.server.database


async def back_up(lab: Lab) -> None:
    """Copy the database while the server is stopped, and start the server again. A backup of a
    running server, by `sqlite3 FILE ".backup COPY"`, makes a commit that meets its lock fail. Under
    load the server then refused every write ("shard status unknown") until it was restarted.
    """
    file = database_of(lab)
    copy = file.parent / BACKUP
    await lab.stack.server.child.terminate()
    with closing(_read_only(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        (said,) = target.execute("PRAGMA integrity_check").fetchone()
    _tell(lab, "backup", f"backed up while the server is stopped: {_describe(copy)}, {said}")
    await lab.stack.server.start()


async def restore(lab: Lab) -> None:
    """Stop the server, replace its file by the backup, and start it."""
    server, file = lab.stack.server, database_of(lab)
    if server.child.is_alive:
        await server.child.terminate()
    # What SQLite left beside the old file would be taken for a part of the new one.
    for old in (file, *_sidecars(file)):
        old.unlink(missing_ok=True)
    shutil.copy(file.parent / BACKUP, file)
    _tell(lab, RESTORE, f"restored: {_describe(file)}")
    await server.start()


async def try_damaged(lab: Lab, workflow_id: str) -> Seen:
    """Start the server on the damaged file, and record what it does and reports of a workflow."""
    child = lab.stack.server.child
    try:
        await lab.stack.server.start()
    except ChildError:
        code = await child.wait(STEP_DEADLINE_SECONDS)
        return _saw(lab, Seen.REFUSED, f"exit code {code}, {child.last_lines(1)}")
    try:
        await lab.handle(workflow_id).fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return _saw(lab, Seen.LOST, str(error))
        return _saw(lab, Seen.UNREADABLE, f"{error}; in its log: {_complaint(child.log)}")
    return _saw(lab, Seen.SERVED, "it serves the workflow as if nothing had happened")


def _saw(lab: Lab, seen: Seen, words: str) -> Seen:
    _tell(lab, seen, f"the server on the damaged database: {seen} ({words})")
    return seen


def _tell(lab: Lab, kind: str, text: str) -> None:
    lab.journal.add(Event.STAGE, text, kind=kind, target=DATABASE)


def _complaint(log: Path) -> str:
    """The server's last log line about lost data."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "data loss" in line]
    return lines[-1][:300] if lines else "nothing"


def _damage(file: Path, how: Damage, chance: random.Random) -> str:
    """Apply the damage; a description of it."""
    if how is Damage.GONE:
        for old in (file, *_sidecars(file)):
            old.unlink(missing_ok=True)
        return "removed with SQLite's files beside it"
    if how is Damage.TRUNCATED:
        half = file.stat().st_size // 2
        os.truncate(file, half)
        return f"truncated after {half} bytes"
    data = bytearray(file.read_bytes())
    places = [place for record in _history_records(file) for place in _some(data, record, chance)]
    for place in places:
        data[place] ^= chance.randrange(1, 256)
    file.write_bytes(data)
    return f"{len(places)} bytes of histories changed, from {min(places)} to {max(places)}"


def _history_records(file: Path) -> list[bytes]:
    with closing(_read_only(file)) as database:
        return [bytes(row[0]) for row in database.execute("SELECT data FROM history_node")]


def _some(data: bytearray, record: bytes, chance: random.Random) -> list[int]:
    """Where to change a record; empty if its pages are not contiguous."""
    start = data.find(record)
    count = max(1, len(record) // _FLIPPED)
    return [start + at for at in chance.sample(range(len(record)), count)] if start >= 0 else []


def _describe(file: Path) -> str:
    if not file.exists():
        return "no file"
    data = file.read_bytes()
    return f"{len(data)} bytes with sha256 {hashlib.sha256(data).hexdigest()}"


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)


def _sidecars(file: Path) -> list[Path]:
    return [file.with_name(f"{file.name}{end}") for end in SIDECARS]
