"""A ledger on PostgreSQL whose server goes away and comes back."""

from __future__ import annotations

import signal
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import make_url

from chaos.cluster.postgres import Postgres
from chaos.ports import Port
from tests.integration.ledger.shop import ANY, ARTIFACT, buyer, grant, image
from workflows import ledger_tables
from workflows.ledger import Ledger, LedgerError
from workflows.paid_calls import Bought

# The server is watched by the event loop of all tests.
pytestmark = pytest.mark.asyncio(loop_scope="session")

UNREACHABLE = (
    "the ledger of paid calls cannot be reached; check that PostgreSQL runs and LEDGER_URL is "
    "right."
)
LOCKED = "the ledger of paid calls is locked by another program; end that one."
PASSWORD = "hunter2-secret"


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    """A ledger on PostgreSQL."""
    ledger = Ledger.open(postgres_url, grace_seconds=5)
    yield ledger
    ledger.close()


@asynccontextmanager
async def _down(postgres: Postgres, number: signal.Signals) -> AsyncIterator[None]:
    """The server is away."""
    if number is signal.SIGKILL:
        await postgres.kill()
    else:
        await postgres.stop()
    try:
        yield
    finally:
        await postgres.start()


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
async def test_a_ledger_goes_on_when_its_server_is_back(
    postgres: Postgres, ledger: Ledger, number: signal.Signals
) -> None:
    bought = ledger.record(grant(ledger, image()), artifact=ARTIFACT)
    under_way = grant(ledger, image("video-001"))

    async with _down(postgres, number):
        for act in (
            lambda: ledger.record(under_way, provider_operation="operations/1"),
            lambda: ledger.reserve(image("video-002"), ANY),
            ledger.billable_usd,
        ):
            with pytest.raises(LedgerError) as raised:
                act()
            assert (str(raised.value), raised.value.lasting) == (UNREACHABLE, False)

    assert ledger.reserve(image(), ANY) == Bought(bought)
    recorded = ledger.record(under_way, provider_operation="operations/1")
    assert ledger.calls() == (bought, recorded)


async def test_a_killed_server_has_all_that_was_recorded(
    postgres: Postgres, ledger: Ledger, postgres_url: str, environment: dict[str, str]
) -> None:
    with buyer(environment, "endless", postgres_url) as victim:
        victim.tell()
        lines = [victim.hear() for _ in range(21)]
        async with _down(postgres, signal.SIGKILL):
            lines += iter(victim.hear, "")

    said = {tuple(line.split()) for line in lines if line}
    reserved = {call.step for call in ledger.calls()}
    recorded = {call.step for call in ledger.calls() if call.artifact}
    assert {step for what, step in said if what == "reserved"} <= reserved
    assert {step for what, step in said if what == "recorded"} <= recorded


async def test_a_session_that_the_server_ended_is_replaced_unnoticed(
    ledger: Ledger, postgres_url: str
) -> None:
    grant(ledger, image())
    with _connect(postgres_url) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()

    assert ended == [(True,)]
    assert len(ledger.calls()) == 1


async def test_a_ledger_that_another_program_holds_is_free_again_afterwards(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_tables, "_LOCK_SECONDS", 1)
    ledger = Ledger.open(postgres_url, grace_seconds=5)
    with _connect(postgres_url) as holder:
        holder.execute("SELECT id FROM account FOR UPDATE")
        with pytest.raises(LedgerError) as raised:
            ledger.reserve(image(), ANY)

    assert (str(raised.value), raised.value.lasting) == (LOCKED, False)
    assert grant(ledger, image()).number == 1
    ledger.close()


async def test_a_wrong_name_or_port_is_said_without_the_password(postgres: Postgres) -> None:
    free = Port()
    right = make_url(postgres.url()).set(password=PASSWORD)
    wrong = (
        right.set(database="missing"),
        right.set(username="nobody"),
        right.set(port=free.number),
    )
    for address in wrong:
        with pytest.raises(LedgerError) as raised:
            Ledger.open(address.render_as_string(hide_password=False), grace_seconds=5)
        assert (str(raised.value), raised.value.lasting) == (UNREACHABLE, False)
        assert PASSWORD not in "".join(traceback.format_exception(raised.value))
    free.release()


async def test_an_address_that_cannot_be_read_is_said_without_the_password() -> None:
    for address in (f"postgresql://u:{PASSWORD}@127.0.0.1:port/d", f"x://u:{PASSWORD}@h/d"):
        with pytest.raises(LedgerError) as raised:
            Ledger.open(address, grace_seconds=5)
        assert raised.value.lasting
        assert PASSWORD not in "".join(traceback.format_exception(raised.value))
