"""Small disks: real ones, in mount namespaces of real processes."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chaos.environment.disk import FOLDER, SmallDisk, mounting, why_there_are_none
from chaos.environment.factory import ProcessFactory
from chaos.environment.server import DISK
from chaos.evidence.journal import Journal
from chaos.process.reaper import Reaper, sweep

pytestmark = pytest.mark.skipif(why_there_are_none() is not None, reason=f"{why_there_are_none()}")

SIZE_MIB = 4


@pytest.fixture
def own_reaper() -> Iterator[Reaper]:
    """One whose sweep kills nothing else: other tests' servers carry the session's tag."""
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
async def disk(own_reaper: Reaper, tmp_path: Path) -> AsyncIterator[SmallDisk]:
    journal = Journal(tmp_path / "journal.jsonl", announce=print)
    site = ProcessFactory(own_reaper.run_tag, tmp_path, tmp_path / "logs", journal)
    command = mounting(tmp_path / FOLDER, ("sleep", "infinity"), SIZE_MIB)
    disk = SmallDisk(site.child(DISK, command), tmp_path / FOLDER)
    await disk.hold()
    yield disk
    await disk.owner.discard()
    journal.close()


def test_it_is_as_small_as_it_should_be_and_nobody_outside_sees_it(disk: SmallDisk) -> None:
    assert disk.free_bytes == SIZE_MIB << 20
    (disk.inside / "file").touch()
    assert not os.path.ismount(disk.folder)
    assert list(disk.folder.iterdir()) == []


def test_it_can_be_filled_to_the_last_byte_and_made_room_on(disk: SmallDisk) -> None:
    kept = disk.inside / "kept"
    kept.write_bytes(b"kept")
    disk.fill()

    assert disk.free_bytes == 0
    with pytest.raises(OSError, match="No space left") as full:
        (disk.inside / "new").write_bytes(b"more")
    assert full.value.errno == errno.ENOSPC
    disk.make_room()
    disk.make_room()
    assert disk.free_bytes > 0
    assert kept.read_bytes() == b"kept"


def test_a_process_can_enter_and_finds_it_in_the_same_place(disk: SmallDisk) -> None:
    script = f'echo here > "{disk.folder}/note"; pwd'
    said = subprocess.run(
        disk.entering(("sh", "-c", script)), check=True, capture_output=True, text=True
    ).stdout

    assert Path(said.strip()) == disk.owner.folder
    assert (disk.inside / "note").read_text() == "here\n"
    assert list(disk.folder.iterdir()) == []


def test_what_is_on_it_can_be_kept_without_the_filler(disk: SmallDisk, tmp_path: Path) -> None:
    (disk.inside / "folder").mkdir()
    (disk.inside / "folder" / "file").write_bytes(b"kept")
    disk.fill()
    disk.copy_out(tmp_path / "copy")

    assert [f.name for f in (tmp_path / "copy").rglob("*") if f.is_file()] == ["file"]


async def test_nothing_is_left_when_the_runs_processes_are_swept(
    disk: SmallDisk, own_reaper: Reaper
) -> None:
    (disk.inside / "file").touch()
    sweep(own_reaper.run_tag)
    await disk.owner.wait(10)

    assert not disk.inside.exists()
