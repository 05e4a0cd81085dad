"""The server itself: found or missed in words, and nothing of it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from chaos.environment.postgres import Postgres, PostgresNotFoundError, PostgresPrograms
from chaos.process.waiting import wait_until

RUN = """
import asyncio
import psycopg
from chaos.environment.postgres import SUPERUSER, Postgres
from chaos.process.reaper import Reaper
from chaos.evidence.journal import Journal

async def main(reaper):
    scratch = reaper.folder / "scratch"
    scratch.mkdir()
    journal = Journal(scratch / "journal.jsonl", lambda _: None)
    server = Postgres.below(scratch, run_tag=reaper.run_tag, logs=scratch, journal=journal)
    await server.start()
    session = await psycopg.AsyncConnection.connect(
        host="127.0.0.1", port=server.port.number, user=SUPERUSER, dbname="postgres"
    )
    print(server.data, flush=True)
    await session.execute("SELECT pg_sleep(120)")

with Reaper() as reaper:
    asyncio.run(main(reaper))
"""


def _at_work_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == folder:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _a_child(data: Path) -> psutil.Process:
    """One of the server's own children."""
    server = int((data / "postmaster.pid").read_text().splitlines()[0])
    return next(process for process in _at_work_in(data) if process.pid != server)


def _memory_segments() -> set[str]:
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()
    return {line.split()[1] for line in lines[1:]}


@pytest.fixture
def run() -> Iterator[subprocess.Popen[str]]:
    """A run of its own with a server and a session."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        yield run
        run.kill()


@pytest.mark.usefixtures("postgres")  # it is installed
async def test_a_killed_run_leaves_no_process_no_folder_and_no_memory_of_its_server(
    run: subprocess.Popen[str],
) -> None:
    assert run.stdout
    data = Path(run.stdout.readline().strip())
    segment = (data / "postmaster.pid").read_text().splitlines()[6].split()[-1]
    assert segment in _memory_segments()
    _a_child(data).suspend()  # so that it cannot see that its server is gone, and end by itself

    run.send_signal(signal.SIGKILL)

    await wait_until(lambda: not _at_work_in(data), what="all end", deadline_seconds=20)
    await wait_until(lambda: not data.parents[1].exists(), what="no folder", deadline_seconds=20)
    assert segment not in _memory_segments()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_killed_server_is_started_again_when_its_last_child_is_gone(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = postgres.child.pid
    child = _a_child(postgres.data)
    child.suspend()
    seen: list[bool] = []

    def left_over() -> bool:
        seen.append(bool(_at_work_in(postgres.data)))
        if len(seen) == 2:
            child.resume()
        return seen[-1]

    monkeypatch.setattr(postgres, "_left_over", left_over)
    try:
        await postgres.kill()
        await postgres.start()
    finally:
        if not postgres.child.is_alive:
            child.kill()
            await postgres.start()

    assert postgres.child.pid != first
    assert seen[:2] == [True, True]
    assert not seen[-1]


async def test_the_data_is_closed_to_others_and_on_loopback_only(postgres: Postgres) -> None:
    address = postgres.url().replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address) as connection:
        rows = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN "
            "('fsync', 'listen_addresses', 'unix_socket_directories', 'full_page_writes')"
        ).fetchall()

    assert postgres.data.stat().st_mode & 0o777 == 0o700
    assert dict(rows) == {
        "fsync": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
    }


def test_a_folder_without_the_programs_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))

    with pytest.raises(PostgresNotFoundError) as raised:
        PostgresPrograms.find()

    assert str(raised.value) == (
        f"initdb, postgres and psql are not in {tmp_path}; install PostgreSQL's server (on Debian "
        "the "
        "package postgresql), or set PG_BIN to the folder of its programs."
    )


def _fake_programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres", "psql"):
        (folder / name).touch(mode=0o755)
    return folder


def test_the_newest_of_several_versions_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr("chaos.environment.postgres._DEBIAN", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for version in ("9.6", "15", "17"):
        _fake_programs(tmp_path / version / "bin")
    (tmp_path / "18" / "bin").mkdir(parents=True)  # its client only

    assert PostgresPrograms.find().folder == tmp_path / "17" / "bin"


def test_programs_on_path_serve_where_debian_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setattr("chaos.environment.postgres._DEBIAN", tmp_path / "none")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    programs = _fake_programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(programs))

    assert PostgresPrograms.find() == PostgresPrograms(programs, None)


def test_a_run_of_root_without_the_servers_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_BIN", str(_fake_programs(tmp_path / "programs")))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("chaos.environment.postgres._UNPRIVILEGED", "no-such-user")

    with pytest.raises(PostgresNotFoundError, match="refuses to run as root, and there is no user"):
        PostgresPrograms.find()
