"""Money on its way to the database and back, and what its errors mean."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError

from workflows.ledger_tables import Usd, explain, make_engine

DIALECT = DefaultDialect()


@pytest.mark.parametrize(
    ("dollars", "stored", "written"),
    [
        ("0", 0, "0.00"),
        ("0.039", 39_000_000, "0.039"),
        ("1.20", 1_200_000_000, "1.20"),
        ("100", 100_000_000_000, "100.00"),
        ("0.000000001", 1, "1E-9"),
    ],
)
def test_money_is_stored_as_whole_nano_dollars(dollars: str, stored: int, written: str) -> None:
    kept = Usd().process_bind_param(Decimal(dollars), DIALECT)

    assert kept == stored
    assert str(Usd().process_result_value(kept, DIALECT)) == written


def test_a_price_finer_than_a_nano_dollar_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="nano"):
        Usd().process_bind_param(Decimal("0.0000000005"), DIALECT)


def test_a_sum_as_postgresql_gives_it_is_money_too() -> None:
    assert Usd().process_result_value(Decimal(39_000_000), DIALECT) == Decimal("0.039")


def test_no_money_is_no_money() -> None:
    assert Usd().process_bind_param(None, DIALECT) is None
    assert Usd().process_result_value(None, DIALECT) is None


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
        (psycopg.OperationalError("failed to resolve host 'secret'"), "host in LEDGER_URL", False),
        (psycopg.errors.ReadOnlySqlTransaction("in recovery"), "(ReadOnlySqlTransaction)", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_told_in_one_sentence(cause: Exception, words: str, lasting: bool) -> None:
    sentence, lasts = explain(_wrapped(cause))

    assert sentence.startswith("the ledger of paid calls ")
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
def test_a_ledger_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="forgets what was paid for"):
        make_engine(url)


def test_what_is_committed_to_a_file_is_on_the_disk(tmp_path: Path) -> None:
    """Else a machine that loses its power loses calls that were paid for."""
    engine = make_engine(f"sqlite:///{tmp_path / 'paid.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
