"""What is said of a SQLite file that cannot be used, and that nothing is granted on it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.integration.payments.shop import ANY, ARTIFACT, grant, image, refused
from workflows.payments import engine
from workflows.payments.calls import PaidCall
from workflows.payments.journal import JournalError, PaymentJournal

DAMAGED = "the payment journal is damaged; restore it from a backup."
LOCKED = "the payment journal is locked by another program; end that program."
READ_ONLY = "the payment journal is not writable; fix its permissions."
NO_FOLDER = "the payment journal cannot be opened; check that its folder exists and is writable."
FULL = "the payment journal has no room left on its disk; make room."
NO_ADDRESS = (
    "PAYMENT_JOURNAL_URL is not a database URL; write sqlite:////path/to/file or "
    "postgresql+psycopg://user@host/name."
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A journal with one bought step and a hundred others, closed."""
    file = tmp_path / "paid.db"
    journal = _open(file)
    journal.record(grant(journal, image()), artifact=ARTIFACT)
    for number in range(100):
        grant(journal, image(f"step-{number}"))
    journal.close()
    return file


def _open(file: Path) -> PaymentJournal:
    return PaymentJournal.open(f"sqlite:///{file}", grace_seconds=5)


def _use(file: Path) -> None:
    journal = _open(file)
    try:
        journal.calls()
        journal.reserve(image("new"), ANY)
    finally:
        journal.close()


def _overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as handle:
        handle.seek(at)
        handle.write(data)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        pytest.param(0, b"no database", id="its head"),
        pytest.param(0, b"not a database " * 1_000, id="all of it"),
        pytest.param(18, b"\xff\xff", id="its format's version"),
        pytest.param(100, b"\xff" * 100, id="its list of tables"),
        pytest.param(4096, b"\xff" * 100_000, id="all its rows"),
    ],
)
def test_an_overwritten_file_is_damaged_and_left_as_it_is(file: Path, at: int, data: bytes) -> None:
    _overwrite(file, at, data)
    found = file.read_bytes()

    with refused(DAMAGED, lasting=True):
        _use(file)

    assert file.read_bytes() == found


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param("state", b"dome", id="a state that does not exist"),
        pytest.param("state", b"\xff\xfe", id="bytes that are no text"),
        pytest.param("artifact", b"{", id="half an artifact"),
    ],
)
def test_a_row_the_journal_never_wrote_is_damage(file: Path, column: str, value: bytes) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            f"UPDATE paid_calls SET {column} = CAST(? AS TEXT) WHERE number = 1",  # noqa: S608 - ours
            (value,),
        )

    with refused(DAMAGED, lasting=True):
        _use(file)


def test_a_file_that_was_cut_off_is_damaged(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)

    with refused(DAMAGED, lasting=True):
        _use(file)


def test_a_journal_that_another_program_holds_is_free_again_afterwards(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LOCK_SECONDS", 0.1)
    journal = _open(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        for act in (lambda: journal.reserve(image("new"), ANY), lambda: _open(file)):
            with refused(LOCKED, lasting=False):
                act()

    assert grant(journal, image("new")).number == 1
    journal.close()


def test_a_journal_opened_for_reading_only_is_refused(file: Path) -> None:
    with refused(READ_ONLY, lasting=True):
        PaymentJournal.open(f"sqlite:///file:{file}?mode=ro&uri=true", grace_seconds=5)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_the_right_to_write_is_refused(file: Path) -> None:
    file.chmod(0o400)

    with refused(READ_ONLY, lasting=True):
        _open(file)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with refused(NO_FOLDER, lasting=True):
        _open(tmp_path / "missing" / "paid.db")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room, which ends with its test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]  # for root only
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program to mount a small disk with")
    if done.returncode:
        pytest.skip("a small disk may not be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - as above


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as handle, suppress(OSError):
        while handle.write(bytes(1024)):
            pass
    return filler


def _buy_all(journal: PaymentJournal, told: list[PaidCall]) -> None:
    while True:
        told.append(grant(journal, image(f"step-{len(told)}")))


def test_on_a_full_disk_nothing_is_granted_until_there_is_room(small_disk: Path) -> None:
    with closing(_open(small_disk / "paid.db")) as journal:
        told = [grant(journal, image())]
        filler = _fill(small_disk)

        with pytest.raises(JournalError) as raised:
            _buy_all(journal, told)
        filler.unlink()

        assert (str(raised.value), raised.value.lasting) == (FULL, False)
        assert list(journal.calls()) == told
        assert grant(journal, image("more")).number == 1


def test_a_reply_that_found_no_room_is_recorded_when_there_is_some(small_disk: Path) -> None:
    with closing(_open(small_disk / "paid.db")) as journal:
        call = grant(journal, image())
        filler = _fill(small_disk)
        with pytest.raises(JournalError, match="no room"):
            journal.record(call, provider_operation="o" * 8192)
        filler.unlink()

        assert journal.record(call, artifact=ARTIFACT).artifact == ARTIFACT


@pytest.mark.parametrize(
    "url",
    [
        "",
        "paid.db",
        "mysql://journal@127.0.0.1/paid",
        "postgresql+psycopg://journal@127.0.0.1:port/paid",
        pytest.param("sqlite://", id="in memory"),
        pytest.param("sqlite:///:memory:", id="in memory by name"),
    ],
)
def test_a_wrong_address_is_told_how_to_write_it(url: str) -> None:
    with refused(NO_ADDRESS, lasting=True):
        PaymentJournal.open(url, grace_seconds=5)
