"""A real PostgreSQL server with a data folder of its own, on loopback."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from chaos.evidence.journal import Journal
from chaos.process.child import Child, ChildError, child_environment
from chaos.process.ports import Port
from chaos.process.waiting import wait_until

READY_DEADLINE_SECONDS = 30.0
SUPERUSER = "ledger"

_BIN_VARIABLE = "PG_BIN"
_DEBIAN = Path("/usr/lib/postgresql")
_UNPRIVILEGED = "postgres"
_PROGRAMS = ("initdb", "postgres", "psql")
_INITDB = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    # Not in /dev/shm, where what a killed server leaves would stay.
    "dynamic_shared_memory_type": "mmap",
    "fsync": "on",
}


class PostgresNotFoundError(Exception):
    """The machine has no PostgreSQL server that can be run."""


@dataclass(frozen=True)
class PostgresPrograms:
    """The folder of its programs, and the user that they run as if the run itself is root's."""

    folder: Path
    user: str | None

    @classmethod
    def find(cls) -> PostgresPrograms:
        """The folder that PG_BIN names, else Debian's newest, else that of PATH.

        Raises PostgresNotFoundError.
        """
        named = os.environ.get(_BIN_VARIABLE)
        folder = next((f for f in _candidates(named) if _has_programs(f)), None)
        if folder is None:
            where = named or f"{_DEBIAN}/*/bin or on PATH"
            raise PostgresNotFoundError(
                f"initdb, postgres and psql are not in {where}; install PostgreSQL's server (on "
                "Debian "
                f"the package postgresql), or set {_BIN_VARIABLE} to the folder of its programs."
            )
        return cls(folder, _user())


def _candidates(named: str | None) -> Sequence[Path]:
    if named:
        return [Path(named)]
    versions = sorted(_DEBIAN.glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    return [*versions, *([Path(on_path).resolve().parent] if on_path else [])]


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in _PROGRAMS)


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_UNPRIVILEGED).pw_name
    except KeyError:
        raise PostgresNotFoundError(
            f"PostgreSQL refuses to run as root, and there is no user {_UNPRIVILEGED}; "
            "add one, or start the run as another user."
        ) from None


@dataclass
class Postgres:
    """The server process, its data folder, and its port, which stays the same over restarts."""

    child: Child
    initdb: Child
    psql: str
    data: Path
    port: Port

    @classmethod
    def below(cls, scratch: Path, *, run_tag: str, logs: Path, journal: Journal) -> Postgres:
        """A server that keeps its data in a scratch folder. Raises PostgresNotFoundError."""
        programs = PostgresPrograms.find()
        scratch = scratch.resolve()  # as the kernel names it, by which its children are found
        data, port = scratch / "postgres", Port()
        settings = {**_SETTINGS, "port": str(port.number)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]

        def child(name: str, *argv: str) -> Child:
            return Child(
                name=name,
                argv=argv,
                environment=child_environment(run_tag, scratch, {}),
                folder=scratch,
                log=logs / f"{name}.log",
                journal=journal,
                user=programs.user,
            )

        make = (str(programs.folder / "initdb"), "-D", str(data), "-U", SUPERUSER, *_INITDB)
        run = (str(programs.folder / "postgres"), "-D", str(data), *options)
        psql = str(programs.folder / "psql")
        return cls(child("postgres", *run), child("initdb", *make), psql, data, port)

    def url(self, database: str = "postgres") -> str:
        """The address of a database, as SQLAlchemy takes it."""
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port.number}/{database}"

    async def start(self) -> None:
        """Start it, the first time with new data, and wait until it answers. Raises ChildError."""
        if not self.data.exists():
            await self._make_data()
        # Children of a killed server live on for a moment; until then it refuses to start.
        await wait_until(
            lambda: not self._left_over(),
            what="the children of the killed PostgreSQL end",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )
        await self.child.start_ready(
            self._answers, what="PostgreSQL answers", deadline_seconds=READY_DEADLINE_SECONDS
        )

    async def stop(self) -> None:
        """Stop it in order: it ends all sessions and writes everything to disk."""
        self.child.send(signal.SIGINT)
        await self.child.wait(READY_DEADLINE_SECONDS)

    async def kill(self) -> None:
        """SIGKILL to the server: everything that is not on disk is lost."""
        await self.child.kill()

    async def restart(self) -> None:
        """Stop it in order and start it again. Raises ChildError."""
        await self.stop()
        await self.start()

    async def create_database(self, name: str) -> str:
        """Make a new database and return its address."""
        await self.execute("postgres", f'CREATE DATABASE "{name}"')
        return self.url(name)

    async def execute(self, database: str, statement: str) -> None:
        """Execute a statement in a database. Raises ChildError."""
        if said := await self._complaint(database, statement):
            raise ChildError(f"PostgreSQL did not carry out {statement!r}: {said}")

    async def discard(self) -> None:
        """End it at the end of a run. By SIGQUIT: after SIGKILL its memory stays in the kernel."""
        await self.initdb.discard()
        await self.child.discard(signal.SIGQUIT)
        self.port.release()

    async def _make_data(self) -> None:
        self.data.mkdir(mode=0o700)
        if self.initdb.user:
            shutil.chown(self.data, self.initdb.user)
        self.initdb.start()
        if await self.initdb.wait(READY_DEADLINE_SECONDS):
            raise ChildError(
                f"initdb could not create the data folder:\n{self.initdb.last_lines()}"
            )

    def _left_over(self) -> bool:
        return any(_works_in(process, self.data) for process in psutil.process_iter())

    async def _answers(self) -> bool:
        return await self._complaint("postgres", "SELECT 1") is None

    async def _complaint(self, database: str, statement: str) -> str | None:
        """The message of psql where a statement failed."""
        where = ("--host=127.0.0.1", f"--port={self.port.number}", f"--username={SUPERUSER}")
        process = await asyncio.create_subprocess_exec(
            *(self.psql, *where, f"--dbname={database}", "--no-psqlrc", "--quiet"),
            *("--no-password", f"--command={statement}"),
            env={"PGCONNECT_TIMEOUT": "5"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return said.decode(errors="replace").strip() if process.returncode else None


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder
    except psutil.Error:
        return False
