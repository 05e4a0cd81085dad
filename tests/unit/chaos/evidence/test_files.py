"""Files that lie where others can write: whole or not there, and never somebody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from chaos.evidence.files import (
    append_to,
    create_file,
    is_own_file,
    read_file,
    read_if_there,
    read_start,
    write_file,
    write_link,
)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file outside the folder, which nobody meant to be touched."""
    file = tmp_path / "precious"
    file.write_text("precious")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    return made


def test_a_file_is_written_whole_and_leaves_nothing_beside_it(folder: Path) -> None:
    write_file(folder / "a.json", "größe\udcff")
    write_file(folder / "a.json", b"second")

    assert (folder / "a.json").read_bytes() == b"second"
    assert os.listdir(folder) == ["a.json"]  # noqa: PTH208 - hidden ones as well


def test_a_file_has_the_rights_that_the_users_umask_gives(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(folder / "a.json", "x")
    finally:
        os.umask(before)

    assert stat.S_IMODE((folder / "a.json").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", [".a.json", "a.json", ".a.json.tmp"])
def test_no_link_that_somebody_laid_is_written_through(
    folder: Path, precious: Path, name: str
) -> None:
    (folder / name).symlink_to(precious)

    write_file(folder / "a.json", "new")

    assert precious.read_text() == "precious"
    assert (folder / "a.json").read_text() == "new"
    assert not (folder / "a.json").is_symlink()


def test_what_cannot_be_written_leaves_the_old_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(folder / "a.json", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(folder / "a.json", "new")

    assert (folder / "a.json").read_text() == "old"
    assert os.listdir(folder) == ["a.json"]  # noqa: PTH208 - hidden ones as well


def test_a_new_file_is_there_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_file(folder / "a.json", b"first")
    with pytest.raises(FileExistsError):
        create_file(folder / "a.json", b"second")
    assert (folder / "a.json").read_bytes() == b"first"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        create_file(folder / "b.json", b"new")
    assert os.listdir(folder) == ["a.json"]  # noqa: PTH208 - hidden ones as well


def test_an_interrupt_leaves_nothing_either(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(folder / "a.json", "new")

    assert os.listdir(folder) == []  # noqa: PTH208 - hidden ones as well


def test_a_link_is_pointed_anew_and_no_folder_is_replaced(folder: Path) -> None:
    write_link(folder / "latest", "one")
    write_link(folder / "latest", "two")
    assert os.readlink(folder / "latest") == "two"  # noqa: PTH115 - as it stands there

    (folder / "real").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_link(folder / "real", "one")
    assert sorted(os.listdir(folder)) == ["latest", "real"]  # noqa: PTH208 - hidden ones as well


def _make(kind: str, path: Path, precious: Path) -> None:
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(precious)
        case "broken link":
            path.symlink_to("nowhere")
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "sparse":
            path.touch()
            os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("pipe", "it is a pipe or a device"),
        ("link", "it is a symbolic link"),
        ("broken link", "it is a symbolic link"),
        ("device", "it is a symbolic link"),
        ("folder", "it is a folder"),
        ("sparse", "it is larger than 256 MB"),
    ],
)
def test_only_a_file_is_read_and_at_once(folder: Path, precious: Path, kind: str, why: str) -> None:
    _make(kind, folder / "odd", precious)

    for read in (read_file, read_if_there):
        with pytest.raises(OSError, match=why) as refused:
            read(folder / "odd")
        assert refused.value.strerror == why
        assert refused.value.filename == str(folder / "odd")


@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder"])
def test_neither_a_part_is_read_nor_anything_added(folder: Path, precious: Path, kind: str) -> None:
    _make(kind, folder / "odd", precious)

    with pytest.raises(OSError, match="it is"):
        read_start(folder / "odd", 10)
    with pytest.raises(OSError, match=r"it is|directory"):
        append_to(folder / "odd")
    assert precious.read_text() == "precious"


def test_a_file_is_read_as_a_whole_in_part_or_not_at_all(folder: Path) -> None:
    (folder / "a").write_bytes(b"0123456789")

    assert read_file(folder / "a") == read_if_there(folder / "a") == b"0123456789"
    assert read_start(folder / "a", 3, 2) == b"234"
    assert read_if_there(folder / "b") is None
    with pytest.raises(FileNotFoundError):
        read_file(folder / "b")


def test_a_device_that_is_no_link_is_refused() -> None:
    with pytest.raises(OSError, match="a pipe or a device"):
        read_file(Path("/dev/zero"))


def test_what_is_added_stands_at_the_end(folder: Path) -> None:
    for text in (b"one", b"two"):
        with append_to(folder / "a") as file:
            file.write(text)

    assert (folder / "a").read_bytes() == b"onetwo"


def test_a_file_is_ones_own_where_no_link_leads_to_it(folder: Path, precious: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "a").touch()
    (folder / "logs" / "b").symlink_to(precious)
    (folder / "away").symlink_to(folder.parent)

    assert is_own_file(folder / "logs" / "a", folder)
    assert not is_own_file(folder / "logs" / "b", folder)
    assert not is_own_file(folder / "away" / "precious", folder)
    assert not is_own_file(folder / "logs", folder)
    assert not is_own_file(folder / "none", folder)
