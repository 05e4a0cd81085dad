"""The ledger's tables, and its two databases with what their errors mean."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

SCHEMA_VERSION = 3

BILLABLE = ("intent", "done", "ambiguous", "late", "lost")
"""States of a call that may cost something."""

_LOCK_SECONDS = 10
"""How long a transaction waits for another; each takes milliseconds."""


class Usd(TypeDecorator[Decimal]):
    """Money as whole nano-dollars: exact in sums on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To nano-dollars. Raises ValueError for a finer amount."""
        if value is None:
            return None
        nano = value.scaleb(9)
        if nano != nano.to_integral_value():
            raise ValueError(f"${value} is finer than a nano-dollar")
        return int(nano)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - likewise
        """To dollars."""
        if value is None:
            return None
        amount = Decimal(int(value)).scaleb(-9)
        cents = amount.quantize(Decimal("0.01"))
        return cents if cents == amount else amount.normalize()


metadata = MetaData()

account = Table(
    "account",
    metadata,
    # One row, which every transaction locks first. Else two workers could each find room in the
    # budget, or a late reply be recorded while its request is being replaced.
    Column("id", Integer, primary_key=True),
    Column("schema_version", Integer, nullable=False),
)

prompts = Table(
    "prompts",
    metadata,
    Column("operation_id", String(255), primary_key=True),
    Column("step", String(64), primary_key=True),
    Column("prompt_sha256", String(64), nullable=False),
)

paid_calls = Table(
    "paid_calls",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("operation_id", String(255), nullable=False),
    Column("step", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("item", String(16), nullable=False),
    Column("model", String(255), nullable=False),
    Column("cost_usd", Usd, nullable=False),
    Column("state", String(16), nullable=False),
    Column("sent_at", Float(53), nullable=False),
    Column("deadline_at", Float(53), nullable=False),
    Column("settled_at", Float(53)),
    Column("reason", Text),
    Column("provider_operation", Text),
    Column("artifact", Text),
    Column("sender", String(64)),
    # Should all else fail: the database itself refuses a second intent for the same request.
    UniqueConstraint("operation_id", "step", "number"),
)

UPGRADES = {
    1: "ALTER TABLE paid_calls ADD COLUMN sender VARCHAR(64)",
    2: None,  # the same tables; an older program would not count what is "lost" in its budget
}
"""From each older layout to the next one. Programs of the older layout can go on meanwhile."""


def make_engine(url: str) -> Engine:
    """An engine for a SQLite or PostgreSQL URL. Raises ValueError or an error of SQLAlchemy."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            raise ValueError("a ledger in memory forgets what was paid for")
        return _sqlite(url)
    if parsed.get_backend_name() == "postgresql":
        # The connection of a pool may have died with its server since it was last used.
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 5,
                # A worker that is paused in mid-transaction must not stop all the others for good.
                "options": f"-c lock_timeout={_LOCK_SECONDS}s -c synchronous_commit=on "
                f"-c idle_in_transaction_session_timeout={_LOCK_SECONDS}s",
            },
        )
    raise ValueError(url)


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _LOCK_SECONDS})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # The write lock is taken before the first read, so what was read still holds at the write.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


_SENTENCES = (
    # First, for this message quotes what it could not decode.
    ("could not decode", True, "is damaged; restore it from a backup"),
    ("locked", False, "is locked by another program; end that one"),
    ("readonly", True, "may not be written to; mend its permissions"),
    ("unable to open", True, "cannot be opened; check that its folder exists and is writable"),
    ("disk is full", False, "has no room left on its disk; make room"),
    ("disk i/o error", False, "cannot be written; check its disk"),
    ("not a database", True, "is damaged; restore it from a backup"),
    ("malformed", True, "is damaged; restore it from a backup"),
    ("no such table", True, "is damaged; restore it from a backup"),
    ("unsupported file format", True, "is damaged; restore it from a backup"),
    ("no space left", False, "has no room left on its disk; make room"),
    ("lock timeout", False, "is locked by another program; end that one"),
    ("resolve host", False, "cannot be reached; check that its host in LEDGER_URL is right"),
    ("connection", False, "cannot be reached; check that PostgreSQL runs and LEDGER_URL is right"),
)


def explain(error: SQLAlchemyError) -> tuple[str, bool]:
    """One sentence without the URL, which may hold a password; and whether the fault lasts."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    said = str(cause or "").lower()
    for words, lasting, sentence in _SENTENCES:
        if words in said:
            return _sentence(sentence), lasting
    kind = type(cause or error).__name__
    return _sentence(f"cannot be used ({kind}); check LEDGER_URL and the database's log"), False


def explain_content() -> tuple[str, bool]:
    """The same for a row that holds what no row can hold."""
    return _sentence("is damaged; restore it from a backup"), True


def _sentence(what: str) -> str:
    return f"the ledger of paid calls {what}."
