from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from chaos.environment.disk import why_there_are_none
from chaos.environment.postgres import Postgres, PostgresNotFoundError, PostgresPrograms
from chaos.evidence.journal import Journal
from chaos.process.reaper import RUN_TAG, Reaper, sweep, sweep_stale, tagged_processes
from chaos.process.segments import drop_shared_memory
from chaos.process.waiting import wait_until

SLEEP = "import time; print('up', flush=True); time.sleep(120)"
# A child, and a child of the child, as a fleet would have.
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
PARENT = f"""
import subprocess, sys
from chaos.process.reaper import RUN_TAG, Reaper
reaper = Reaper().__enter__()
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}], env={{RUN_TAG: reaper.run_tag}}, start_new_session=True
)
print(reaper.run_tag, flush=True)
child.wait()
"""
ELSEWHERE = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"')
"""A command with a folder of its own: it sees another one in its place than everybody else."""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a line of Python in a session of its own, and end it after the test."""
    with ExitStack() as stack:

        def popen(
            code: str, environment: Mapping[str, str], before: Sequence[str] = ()
        ) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [*before, sys.executable, "-c", code],
                    env=dict(environment),
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield popen


@pytest.fixture
def abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that is dead, where no other run on this machine looks."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"chaos-run-1-{uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def _alive(tag: str) -> int:
    return sum(found == tag for _, found in tagged_processes())


def test_it_is_found_where_the_suite_is_not_installed() -> None:
    """It runs from the checkout's folder, whose name comes first on Python's path."""
    with Reaper() as reaper:
        process = reaper._process
        assert Path(psutil.Process(process.pid).cwd()) == Path(__file__).parents[3]
        assert process.poll() is None


async def test_a_killed_run_leaves_no_child_grandchild_or_folder(start: Start) -> None:
    parent = start(PARENT, os.environ)
    assert parent.stdout
    tag = parent.stdout.readline().strip()
    await wait_until(lambda: _alive(tag) == 2, what="both are up", deadline_seconds=20)

    parent.send_signal(signal.SIGKILL)

    await wait_until(lambda: _alive(tag) == 0, what="none is left", deadline_seconds=20)
    await wait_until(lambda: not Path(tag).exists(), what="no folder", deadline_seconds=20)


async def test_a_run_within_another_that_ends_is_cleared_up(start: Start) -> None:
    with Reaper() as outer:
        inner = start(PARENT, {**os.environ, **outer.environment})
        assert inner.stdout
        tag = inner.stdout.readline().strip()
        await wait_until(lambda: _alive(tag) == 2, what="both are up", deadline_seconds=20)
        # Nor is its reaper ended with it: others on this machine would hide that, by clearing up.
        assert [p.pid for p, found in tagged_processes() if found == outer.run_tag] == [inner.pid]

    await wait_until(
        lambda: _alive(tag) == 0 and not Path(tag).exists(),
        what="nothing is left of the inner one",
        deadline_seconds=20,
    )


async def test_a_run_whose_reaper_died_too_is_cleared_up_by_the_next(
    start: Start, abandoned: Path
) -> None:
    with Reaper() as reaper:
        stale = str(abandoned)  # to begin was to clear up
        left_over = start(f"import os; os.mkdir({stale!r}); {SLEEP}", {RUN_TAG: stale})
        ours = start(SLEEP, {RUN_TAG: reaper.run_tag})
        assert left_over.stdout
        left_over.stdout.readline()
        await wait_until(
            lambda: _alive(stale) + _alive(reaper.run_tag) == 2, what="both", deadline_seconds=20
        )

        sweep_stale()

        assert left_over.wait(10) == -signal.SIGKILL
        await wait_until(
            lambda: not _is_there(abandoned), what="its folder is gone", deadline_seconds=20
        )
        assert ours.poll() is None, "a living run was hit"
    assert ours.wait(10) == -signal.SIGKILL
    assert not reaper.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_whose_reaper_is_killed_or_stopped_clears_up_itself(
    number: signal.Signals, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.process.reaper._PATIENCE_SECONDS", 1.0)
    with Reaper() as reaper:
        child = start(SLEEP, {RUN_TAG: reaper.run_tag})
        process = _reaper_of(reaper.run_tag)
        process.send_signal(number)

    assert not process.is_running()
    assert child.wait(10) == -signal.SIGKILL
    assert not reaper.folder.exists()


@pytest.mark.skipif(why_there_are_none() is not None, reason="there are no mount namespaces here")
@pytest.mark.parametrize(
    "has_reaper", [True, False], ids=["with a reaper", "its reaper was killed"]
)
async def test_a_living_run_with_other_mounts_is_not_taken_for_dead(
    has_reaper: bool, start: Start, tmp_path: Path
) -> None:
    before = (*ELSEWHERE, str(tmp_path))
    parent = start(PARENT, {**os.environ, "TMPDIR": str(tmp_path)}, before)
    assert parent.stdout
    tag = parent.stdout.readline().strip()
    assert tag.startswith(str(tmp_path))
    await wait_until(lambda: _alive(tag) == 2, what="both are up", deadline_seconds=20)
    if not has_reaper:
        _reaper_of(tag).kill()

    sweep_stale()

    assert not _is_there(Path(tag)), "the run has no mounts of its own"
    try:
        assert _alive(tag) == 2
    finally:
        parent.kill()
        sweep(tag)


@pytest.mark.skipif(why_there_are_none() is not None, reason="there are no mount namespaces here")
async def test_a_dead_run_with_other_mounts_is_ended(start: Start, tmp_path: Path) -> None:
    tag = str(tmp_path / f"chaos-run-1-{uuid4().hex[:8]}")
    making = f"import os; os.mkdir({tag!r}); {SLEEP}"
    left_over = start(making, {**os.environ, RUN_TAG: tag}, (*ELSEWHERE, str(tmp_path)))
    assert left_over.stdout
    left_over.stdout.readline()

    sweep_stale()

    assert left_over.wait(10) == -signal.SIGKILL


@pytest.mark.skipif(why_there_are_none() is not None, reason="there are no mount namespaces here")
def test_a_process_that_does_not_see_the_folder_of_its_run_is_left_alone(
    start: Start, tmp_path: Path
) -> None:
    tag = str(tmp_path / f"chaos-run-1-{uuid4().hex[:8]}")
    somewhere = start(SLEEP, {**os.environ, RUN_TAG: tag}, (*ELSEWHERE, str(tmp_path)))
    assert somewhere.stdout
    somewhere.stdout.readline()

    sweep_stale()

    assert somewhere.poll() is None


def test_a_dead_run_whose_folder_somebody_removed_is_ended(start: Start, abandoned: Path) -> None:
    left_over = start(SLEEP, {RUN_TAG: str(abandoned)})
    assert left_over.stdout
    left_over.stdout.readline()
    abandoned.rmdir()

    sweep_stale()

    assert left_over.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("name", ["chaos-run-7", "chaos-run-notes", "chaos-run-1-deadbeef.bak"])
def test_a_folder_that_no_run_has_made_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / name).mkdir()

    sweep_stale()

    assert (tmp_path / name).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_stays(abandoned: Path) -> None:
    os.chown(abandoned, 65534, 65534)

    sweep_stale()

    assert abandoned.exists()


def test_a_link_in_place_of_a_folder_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "kept").mkdir()
    link = tmp_path / "chaos-run-1-deadbeef"
    link.symlink_to(tmp_path / "kept")

    sweep_stale()

    assert link.is_symlink()
    assert (tmp_path / "kept").exists()


@pytest.fixture
async def postgres(
    reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Postgres]:
    """A server that belongs to nobody's dead run."""
    try:
        PostgresPrograms.find()
    except PostgresNotFoundError as error:
        pytest.skip(str(error))
    folder = reaper.folder / f"pg-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o711)
    logs = tmp_path_factory.mktemp("logs")
    journal = Journal(logs / "journal.jsonl", announce=print)
    server = Postgres.below(folder, run_tag=reaper.run_tag, logs=logs, journal=journal)
    await server.start()
    yield server
    await server.discard()
    journal.close()


def _copied(postgres: Postgres, abandoned: Path) -> int:
    """A dead run has a copy of the lock file of a living server; the number of its segment."""
    lock_file = postgres.data / "postmaster.pid"
    (abandoned / "copy").mkdir()
    shutil.copy(lock_file, abandoned / "copy")
    return _segment(lock_file)


async def test_the_memory_of_somebody_elses_server_stays(
    postgres: Postgres, abandoned: Path
) -> None:
    segment = _copied(postgres, abandoned)
    (abandoned / "link").mkdir()
    (abandoned / "link" / "postmaster.pid").symlink_to(postgres.data / "postmaster.pid")

    sweep_stale()

    assert not _is_there(abandoned)
    assert _segments()[segment] == _number_of(postgres.data), "it is to be destroyed"


async def test_the_memory_of_a_killed_server_goes_with_its_run(postgres: Postgres) -> None:
    segment = _segment(postgres.data / "postmaster.pid")
    drop_shared_memory(postgres.data.parent)
    assert segment in _segments(), "it was in use"
    await postgres.kill()
    await wait_until(lambda: _users(segment) == 0, what="nobody has it", deadline_seconds=20)

    drop_shared_memory(postgres.data.parent)

    assert segment not in _segments()


async def test_the_memory_of_a_killed_server_that_is_not_of_the_run_stays(
    postgres: Postgres, abandoned: Path
) -> None:
    segment = _copied(postgres, abandoned)
    await postgres.kill()
    await wait_until(lambda: _users(segment) == 0, what="nobody has it", deadline_seconds=20)

    sweep_stale()

    assert segment in _segments()
    await postgres.start()  # it takes the segment over, and leaves none


@pytest.mark.parametrize("kind", ["garbage", "huge", "fifo", "folder", "loop"])
def test_a_strange_lock_file_stops_no_sweep(kind: str, abandoned: Path) -> None:
    file = abandoned / "postmaster.pid"
    if kind == "garbage":
        file.write_bytes(b"\n" * 6 + b"\xff 0\n")
    elif kind == "huge":
        with file.open("wb") as opened:
            opened.truncate(1 << 40)
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(file)

    sweep_stale()

    assert not abandoned.exists()


def _is_there(folder: Path) -> bool:
    return folder.exists()


def _reaper_of(tag: str) -> psutil.Process:
    command = ["-m", "chaos.process.reaper", tag]
    found = [
        p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-3:] == command
    ]
    return found[0]


def _segment(lock_file: Path) -> int:
    return int(lock_file.read_text().splitlines()[6].split()[1])


def _segments() -> dict[int, int]:
    """Their keys by their numbers; the key of one that is to be destroyed is 0."""
    lines = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {int(line[1]): int(line[0]) & 0xFFFFFFFF for line in lines}


def _users(segment: int) -> int:
    lines = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return next(int(line[6]) for line in lines if int(line[1]) == segment)


def _number_of(folder: Path) -> int:
    return folder.stat().st_ino & 0xFFFFFFFF
