"""The journal's two databases: how they are opened, how long they may take, what an error means."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

_LOCK_SECONDS = 10
"""How long a transaction waits for another; each takes milliseconds."""

_AGAIN_SECONDS = 0.01

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 15
"""How long PostgreSQL may be silent: longer than it may wait for a lock, or it would be taken for
dead while it works.
"""

BESIDE = ("", "-journal", "-wal", "-shm")
"""How the names of SQLite's files go on from the journal's."""


_GONE = "the journal's file is gone"
"""The words of our own error for a SQLite file that was there before."""


def make_engine(address: str | URL, *, make: bool = True) -> Engine:
    """An engine for a SQLite or PostgreSQL URL. Raises ValueError or an error of SQLAlchemy.

    `make` says whether a SQLite file may be made where there is none: by the first connection
    only, for one that vanishes later was moved or removed.
    """
    url = make_url(address)
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise ValueError("a journal in memory forgets what was paid for")
        return _sqlite(url, make=make)
    if url.get_backend_name() == "postgresql":
        return _postgresql(url)
    raise ValueError(url.drivername)


def file_of(address: str | URL) -> Path | None:
    """The file of a SQLite URL; None of any other. Raises ValueError or an error of SQLAlchemy."""
    url = make_url(address)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    is_uri = url.database.startswith("file:")
    return Path(unquote(urlsplit(url.database).path) if is_uri else url.database)


def in_the_way(address: str | URL) -> Path | None:
    """A folder that has the name of one of the journal's files; None where there is none."""
    file = file_of(address)
    beside = [Path(f"{file}{end}") for end in BESIDE] if file else []
    return next((path for path in beside if path.is_dir()), None)


def _postgresql(url: URL) -> Engine:
    """A server that is gone, cut off or stopped ends a call within seconds.

    Each setting is for a silence of its own: `tcp_user_timeout` and the keepalives for a machine
    that no longer answers, the server's timeouts for a lock or a slow disk, `AnsweringConnection`
    for a server that is stopped, whose kernel still answers in its stead.
    """
    engine = create_engine(
        url,
        # The connection of a pool may have died with its server since it was last used.
        pool_pre_ping=True,
        pool_timeout=_ANSWER_SECONDS,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "tcp_user_timeout": _ANSWER_SECONDS * 1000,
            "keepalives": 1,
            "keepalives_idle": _CONNECT_SECONDS,
            "keepalives_interval": _CONNECT_SECONDS,
            "keepalives_count": 2,
            # A worker that is paused in mid-transaction must not stop all the others for good.
            "options": f"-c lock_timeout={_LOCK_SECONDS}s -c synchronous_commit=on "
            f"-c idle_in_transaction_session_timeout={_LOCK_SECONDS}s "
            f"-c statement_timeout={_LOCK_SECONDS + 2}s",
        },
    )

    @event.listens_for(engine, "do_connect")
    def _on_do_connect(
        _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
    ) -> object:
        # Imported here: workers on SQLite need no driver of PostgreSQL.
        from workflows.payments.postgres import AnsweringConnection  # noqa: PLC0415

        return AnsweringConnection.connect(*arguments, **options).within(_ANSWER_SECONDS)

    return engine


def _sqlite(url: URL, *, make: bool) -> Engine:
    """Every use of a connection asks whether its file, and its log beside it, are still those of
    that name.

    SQLite itself goes on writing to a file that was moved or removed, and nobody would find there
    what it wrote.
    """
    file = file_of(url) or Path()
    log = Path(f"{file.resolve()}-wal")  # it lives as long as anybody has the file open
    may_make = make
    engine = create_engine(url, connect_args={"timeout": _LOCK_SECONDS})

    @event.listens_for(engine, "do_connect")
    def _on_do_connect(_dialect: object, record: Any, *_: object) -> None:
        # Not an empty one either: SQLite would throw its log away, which may hold the last rows.
        if not may_make and (not file.exists() or file.stat().st_size == 0):
            raise sqlite3.OperationalError(_GONE)
        record.info["before"] = _identity(file)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, record: Any) -> None:
        nonlocal may_make
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        _use_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master")  # opens the log
        may_make = False
        before = record.info["before"]
        is_same = before is None or before == _identity(file)
        record.info["files"] = (_identity(file), _identity(log)) if is_same else None

    @event.listens_for(engine, "checkout")
    def _on_checkout(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["files"] != (_identity(file), _identity(log)):
            raise DisconnectionError  # the pool reconnects

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # The write lock is taken before the first read, so what was read still holds at the write.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _use_log(connection: sqlite3.Connection) -> None:
    """Where workers start at once on a new file, SQLite refuses all but one without any wait."""
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= end:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - nothing else of the path is needed
    except OSError:
        return None
    return found.st_dev, found.st_ino


_SENTENCES = (
    # First, for this message quotes what it could not decode.
    ("could not decode", True, "is damaged; restore it from a backup"),
    (_GONE, False, "is not where it was; restore its latest state"),
    ("locked", False, "is locked by another program; end that program"),
    ("read-only transaction", False, "is read-only; allow writes in PostgreSQL again"),
    ("readonly", True, "is not writable; fix its permissions"),
    ("unable to open", True, "cannot be opened; check that its folder exists and is writable"),
    ("disk is full", False, "has no room left on its disk; make room"),
    ("quota exceeded", False, "has no room left on its disk; make room"),
    ("no space left", False, "has no room left on its disk; make room"),
    ("disk i/o error", False, "cannot be written; check its disk"),
    ("not a database", True, "is damaged; restore it from a backup"),
    ("malformed", True, "is damaged; restore it from a backup"),
    ("unsupported file format", True, "is damaged; restore it from a backup"),
    ("no such table", False, "has lost its tables; restore its latest state"),
    ("lock timeout", False, "is locked by another program; end that program"),
    ("statement timeout", False, "takes too long to answer; check PostgreSQL and its disk"),
    ("no answer in time", False, "does not answer; check that PostgreSQL runs and is not stopped"),
    ("password", False, "refuses the user or the password in PAYMENT_JOURNAL_URL; fix it"),
    (
        "pg_hba.conf",
        False,
        "refuses the connection that PAYMENT_JOURNAL_URL describes; correct it, or pg_hba.conf",
    ),
    (
        "permission denied",
        False,
        "denies the user in PAYMENT_JOURNAL_URL access; grant it all privileges",
    ),
    (
        "resolve host",
        False,
        "cannot be reached; check that its host in PAYMENT_JOURNAL_URL is right",
    ),
    ("too many", False, "accepts no more connections; end some, or raise max_connections"),
    ("connection slots", False, "accepts no more connections; end some, or raise max_connections"),
    (
        "to log in",
        False,
        "refuses the user in PAYMENT_JOURNAL_URL; let it log in, or correct PAYMENT_JOURNAL_URL",
    ),
    ("starting up", False, "is not up yet; wait, or see PostgreSQL's log"),
    ("in recovery mode", False, "is not up yet; wait, or see PostgreSQL's log"),
    ("shutting down", False, "is being stopped; start PostgreSQL again"),
)

_MISSING = (
    (
        "role",
        "does not know the user in PAYMENT_JOURNAL_URL; create it, or correct PAYMENT_JOURNAL_URL",
    ),
    ("database", "has no such database; restore it, or correct PAYMENT_JOURNAL_URL"),
    ("relation", "has lost its tables; restore its latest state"),
    ("schema", "has no schema; restore its latest state, or correct PAYMENT_JOURNAL_URL"),
)
"""What PostgreSQL says does not exist."""

_UNREACHABLE = "cannot be reached; check that PostgreSQL runs and PAYMENT_JOURNAL_URL is right"


def explain(error: SQLAlchemyError) -> tuple[str, bool]:
    """One sentence without the URL, which may hold a password; and whether the fault lasts."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    said = str(cause or "").lower()
    for words, lasting, sentence in _SENTENCES:
        if words in said:
            return _sentence(sentence), lasting
    for what, sentence in _MISSING:
        if f"{what} " in said and ("does not exist" in said or "has been selected" in said):
            return _sentence(sentence), False
    if "connection" in said:
        return _sentence(_UNREACHABLE), False
    kind = type(cause or error).__name__
    return _sentence(
        f"cannot be used ({kind}); check PAYMENT_JOURNAL_URL and the database's log"
    ), False


def explain_content() -> tuple[str, bool]:
    """The same for a row that holds what no row can hold."""
    return _sentence("is damaged; restore it from a backup"), True


def _sentence(what: str) -> str:
    return f"the payment journal {what}."
