"""The journal's tables, and how those of older programs are brought up to date."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA_VERSION = 4

BILLABLE = ("intent", "done", "ambiguous", "late", "lost")
"""States of a call that may cost something."""


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

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
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
    # Tells this journal from any other: see `identity.Binding`.
    Column("ledger_id", String(36)),
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
    # Of the transaction that recorded the intent: its sender knows it by this where the answer to
    # the commit was lost.
    Column("token", String(36)),
    # Should all else fail: the database itself refuses a second intent for the same request.
    UniqueConstraint("operation_id", "step", "number"),
)

UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE paid_calls ADD COLUMN sender VARCHAR(64)",),
    2: (),  # the same tables; an older program would not count what is "lost" in its budget
    3: (
        "ALTER TABLE account ADD COLUMN ledger_id VARCHAR(36)",
        "ALTER TABLE paid_calls ADD COLUMN token VARCHAR(36)",
    ),
}
"""From each older layout to the next one. Programs of the older layout can go on meanwhile."""
