"""An artifact is whole or not there, and known by its hash."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflows import policies
from workflows.artifacts import (
    SUFFIXES,
    ArtifactError,
    ArtifactStore,
    image_type,
    mime_type_of,
    suffix_of,
)
from workflows.models import Artifact


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def fail_with(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_saved_file_is_whole_under_its_name_and_known_by_its_hash(
    store: ArtifactStore, tmp_path: Path
) -> None:
    made = store.save("op", "character.png", b"a fox")
    assert made == Artifact(
        path="op/character.png", sha256=hashlib.sha256(b"a fox").hexdigest(), size_bytes=5
    )
    assert files_in(tmp_path / "op") == {"character.png": b"a fox"}
    assert store.load(made) == b"a fox"
    assert store.is_whole(made)
    store.save("op", "character.png", b"a cat")
    assert files_in(tmp_path / "op") == {"character.png": b"a cat"}
    assert not store.is_whole(made)


def test_a_write_that_fails_leaves_nothing(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise fail_with(errno.ENOSPC)

    store.prepare("op")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ArtifactError, match="No space left on device"):
        store.save("op", "character.png", b"a fox")
    assert files_in(tmp_path / "op") == {}


def test_a_write_that_fails_keeps_the_file_before_it(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fail_with(errno.EIO)

    store.save("op", "character.png", b"a fox")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ArtifactError):
        store.save("op", "character.png", b"a cat")
    assert files_in(tmp_path / "op") == {"character.png": b"a fox"}


def test_a_write_is_on_the_disk_before_it_has_its_name(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names_at_sync: list[bool] = []
    real_sync = os.fsync

    def watch(handle: int) -> None:
        names_at_sync.append((tmp_path / "op" / "character.png").exists())
        real_sync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    store.save("op", "character.png", b"a fox")
    assert names_at_sync == [False, True]  # the file, then the folder that holds its name


def test_an_altered_file_is_not_taken(store: ArtifactStore, tmp_path: Path) -> None:
    made = store.save("op", "character.png", b"a fox")
    (tmp_path / made.path).write_bytes(b"a cat")
    with pytest.raises(ArtifactError) as raised:
        store.load(made)
    assert str(raised.value) == (
        "the artifact op/character.png was changed after it was made; restore it, "
        "or start a new operation, which pays for it again."
    )


def test_a_missing_file_is_named_with_what_to_do(store: ArtifactStore, tmp_path: Path) -> None:
    made = store.save("op", "character.png", b"a fox")
    (tmp_path / made.path).unlink()
    assert not store.is_whole(made)
    with pytest.raises(ArtifactError) as raised:
        store.load(made)
    assert str(raised.value) == (
        "the artifact op/character.png cannot be read (No such file or directory); "
        "restore it, or check that all workers share ARTIFACTS_DIR."
    )


def test_a_file_in_place_of_the_folder_is_told(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "op").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"cannot be written to .*start the operation again"):
        store.prepare("op")


def test_a_folder_that_nobody_may_write_to_is_told(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise fail_with(errno.EACCES)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(ArtifactError) as raised:
        store.prepare("op")
    assert str(raised.value) == (
        f"the artifact folder {tmp_path / 'op'} cannot be written to (Permission denied); "
        "make room or fix its permissions, then start the operation again."
    )


@pytest.mark.parametrize("operation_id", ["", "..", "a/b", "/etc", ".hidden", "a b", "a\n", "ä"])
def test_an_id_that_cannot_name_a_folder_is_refused(
    store: ArtifactStore, tmp_path: Path, operation_id: str
) -> None:
    with pytest.raises(ArtifactError, match="cannot be the name of a folder; use letters"):
        store.prepare(operation_id)
    assert files_in(tmp_path) == {}


def test_the_longest_id_has_200_characters(store: ArtifactStore) -> None:
    store.prepare("a" * 200)
    with pytest.raises(ArtifactError, match="at most 200"):
        store.prepare("a" * 201)


def disk_with(free_bytes: int) -> Callable[[Path], SimpleNamespace]:
    return lambda _: SimpleNamespace(free=free_bytes)


def test_a_disk_that_is_nearly_full_is_told_before_anything_is_written(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", disk_with(policies.FREE_BYTES - 1))
    with pytest.raises(ArtifactError) as raised:
        store.prepare("op")
    assert str(raised.value) == (
        f"the artifact folder {tmp_path / 'op'} cannot be written to (No space left on device); "
        "make room or fix its permissions, then start the operation again."
    )
    monkeypatch.setattr(shutil, "disk_usage", disk_with(policies.FREE_BYTES))
    assert files_in(store.prepare("op")) == {}


@pytest.mark.parametrize("suffix", [*SUFFIXES.values(), ".img", ".svg+xml.img"])
def test_a_file_is_found_whatever_its_suffix(store: ArtifactStore, suffix: str) -> None:
    made = store.save("op", f"character{suffix}", b"a fox")
    assert store.find("op", "character") == made


@pytest.mark.parametrize(
    "name", ["character.2.png", "character.2.img", ".character.png", "character.txt", "char.png"]
)
def test_a_file_of_another_name_is_not_found(store: ArtifactStore, name: str) -> None:
    assert store.find("op", "character") is None
    store.save("op", name, b"a fox")
    assert store.find("op", "character") is None


def test_a_file_that_is_not_whole_is_not_found(store: ArtifactStore, tmp_path: Path) -> None:
    """What a killed writer leaves has another name."""
    store.prepare("op")
    handle, _ = tempfile.mkstemp(dir=tmp_path / "op", prefix=".character.png.")
    os.close(handle)
    assert store.find("op", "character") is None


def test_a_note_is_hidden_and_read_as_it_was_saved(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.read_note("op", "video-001") is None
    store.save_note("op", "video-001", "models/m/operations/1")
    assert store.read_note("op", "video-001") == "models/m/operations/1"
    assert list(files_in(tmp_path / "op")) == [".video-001.note"]


PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a"
WEBP = b"RIFF\0\0\0\0WEBPVP8 "


@pytest.mark.parametrize(
    ("named", "data", "true"),
    [
        ("image/png", b"?", "image/png"),
        ("IMAGE/PNG; q=1", b"?", "image/png"),
        (" image/png ", b"?", "image/png"),
        ("image/jpg", b"?", "image/jpeg"),
        ("image/x-png", b"?", "image/png"),
        ("image/svg+xml", b"<svg/>", "image/svg+xml"),
        ("image/avif", b"?", "image/avif"),
        ("image/png", JPEG, "image/jpeg"),
        ("image/jpeg", PNG, "image/png"),
        ("image/jpeg", WEBP, "image/webp"),
        ("image/jpeg", GIF, "image/gif"),
        ("image/*", PNG, "image/png"),
    ],
)
def test_an_image_has_the_type_that_its_bytes_have_else_its_name(
    named: str, data: bytes, true: str
) -> None:
    assert image_type(named, data) == true


@pytest.mark.parametrize("named", ["", "png", "application/json", "video/mp4", "text/image/png"])
def test_what_is_not_called_an_image_is_none(named: str) -> None:
    assert image_type(named, PNG) is None


@pytest.mark.parametrize("named", ["image/", "image", "image/*", "image/../x", "image/a b"])
def test_an_image_of_no_type_is_none(named: str) -> None:
    assert image_type(named, b"?") is None


@pytest.mark.parametrize(
    ("mime_type", "suffix"),
    [
        ("image/png", ".png"),
        ("image/jpeg", ".jpg"),
        ("image/webp", ".webp"),
        ("image/svg+xml", ".svg+xml.img"),
        ("image/vnd.ms-photo", ".vnd.ms-photo.img"),
    ],
)
@pytest.mark.parametrize("stem", ["character", "op/character", "op.1/character"])
def test_the_type_of_an_image_is_read_back_from_its_name(
    mime_type: str, suffix: str, stem: str
) -> None:
    assert suffix_of(mime_type) == suffix
    assert mime_type_of(f"{stem}{suffix}", b"?") == mime_type


@pytest.mark.parametrize(
    ("name", "data", "mime_type"),
    [
        ("character.2.jpg", b"?", "image/jpeg"),
        ("character.12.jpg", b"?", "image/jpeg"),
        # A name that tells nothing:
        ("character", b"?", "image/png"),
        ("character.img", b"?", "image/png"),
        ("character.2.img", b"?", "image/png"),
        # A wrong name:
        ("character.png", JPEG, "image/jpeg"),
    ],
)
def test_a_number_is_no_part_of_the_type_and_the_bytes_count_more(
    name: str, data: bytes, mime_type: str
) -> None:
    assert mime_type_of(name, data) == mime_type


def test_a_name_in_use_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, frozenset({"paid.db-journal"}))

    for act in (store.require_name, store.prepare):
        with pytest.raises(ArtifactError) as raised:
            act("paid.db-journal")
        assert str(raised.value) == (
            "the operation id 'paid.db-journal' is the name of a file that the workers keep "
            "there; use another id."
        )

    assert list(tmp_path.iterdir()) == []
    store.require_name("paid.db-journals")
