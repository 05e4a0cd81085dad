"""Each error of a database is one sentence; what is committed is on the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError

from workflows.payments import engine
from workflows.payments.engine import explain, make_engine


def _wrapped(cause: Exception) -> DBAPIError:
    return OperationalError("SELECT 'a secret'", {"key": "a secret"}, cause)


@pytest.mark.parametrize(
    ("cause", "words", "lasting"),
    [
        (sqlite3.OperationalError("database is locked"), "is locked by another program", False),
        (psycopg.errors.LockNotAvailable("due to lock timeout"), "is locked by another", False),
        (sqlite3.OperationalError("attempt to write a readonly database"), "permissions", True),
        (sqlite3.OperationalError("unable to open database file"), "its folder exists", True),
        (sqlite3.OperationalError("database or disk is full"), "make room", False),
        (psycopg.errors.DiskFull("could not extend: No space left on device"), "room", False),
        (sqlite3.OperationalError("disk I/O error"), "check its disk", False),
        (sqlite3.DatabaseError("database disk image is malformed"), "is damaged", True),
        (sqlite3.DatabaseError("file is not a database"), "is damaged", True),
        (
            sqlite3.OperationalError("Could not decode to UTF-8 column 'x' with text 'locked'"),
            "is damaged",
            True,
        ),
        (psycopg.OperationalError("connection failed: FATAL: no such role"), "runs", False),
        (
            psycopg.OperationalError("failed to resolve host 'secret'"),
            "host in PAYMENT_JOURNAL_URL",
            False,
        ),
        (
            psycopg.errors.ReadOnlySqlTransaction(
                "cannot execute UPDATE in a read-only transaction"
            ),
            "is read-only",
            False,
        ),
        (psycopg.errors.DiskFull("could not write: Disk quota exceeded"), "make room", False),
        (psycopg.errors.QueryCanceled("due to statement timeout"), "too long to answer", False),
        (psycopg.OperationalError("no answer in time"), "does not answer", False),
        (
            psycopg.OperationalError('connection failed: FATAL: database "secret" does not exist'),
            "no such database",
            False,
        ),
        (
            psycopg.OperationalError('connection failed: FATAL: role "secret" does not exist'),
            "does not know the user",
            False,
        ),
        (
            psycopg.OperationalError("connection failed: FATAL: password authentication failed"),
            "refuses the user or the password",
            False,
        ),
        (psycopg.errors.UndefinedTable('relation "account" does not exist'), "its tables", False),
        (
            psycopg.errors.InvalidSchemaName("no schema has been selected to create in"),
            "has no schema",
            False,
        ),
        (
            psycopg.errors.InsufficientPrivilege("permission denied for schema public"),
            "grant it all privileges",
            False,
        ),
        (
            psycopg.OperationalError("connection failed: FATAL: sorry, too many clients already"),
            "no more connections",
            False,
        ),
        (sqlite3.OperationalError("no such table: account"), "its tables", False),
        (NotImplementedError("a secret"), "(NotImplementedError)", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_told_in_one_sentence(cause: Exception, words: str, lasting: bool) -> None:
    sentence, lasts = explain(_wrapped(cause))

    assert sentence.startswith("the payment journal ")
    assert sentence.endswith(".")
    assert words in sentence
    assert "secret" not in sentence
    assert lasts is lasting


def test_an_error_of_the_library_itself_is_told_by_its_kind() -> None:
    sentence, lasting = explain(InvalidRequestError("a secret"))

    assert "(InvalidRequestError)" in sentence
    assert "secret" not in sentence
    assert not lasting


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_journal_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="forgets what was paid for"):
        make_engine(url)


def test_what_is_committed_to_a_file_is_on_the_disk(tmp_path: Path) -> None:
    """Else a machine that loses its power loses calls that were paid for."""
    engine = make_engine(f"sqlite:///{tmp_path / 'paid.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


class _Refusing(sqlite3.Connection):
    """A file on which another worker starts as well, for a moment."""

    refusals: ClassVar[list[str]] = []

    def execute(self, *_: object) -> sqlite3.Cursor:
        if self.refusals:
            raise sqlite3.OperationalError(self.refusals.pop())
        return super().execute("PRAGMA journal_mode = WAL")


def test_a_worker_that_starts_beside_another_waits_for_its_turn() -> None:
    connection = _Refusing(":memory:")
    _Refusing.refusals = ["database is locked", "database is locked"]

    engine._use_log(connection)

    assert _Refusing.refusals == []
    connection.close()


def test_what_waiting_does_not_help_is_raised_at_once() -> None:
    connection = _Refusing(":memory:")
    _Refusing.refusals = ["disk I/O error"]

    with pytest.raises(sqlite3.OperationalError, match="disk"):
        engine._use_log(connection)
    connection.close()
