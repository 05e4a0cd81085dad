"""A ledger on PostgreSQL whose server goes away and comes back."""

from __future__ import annotations

import asyncio
import signal
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from uuid import uuid4

import psutil
import psycopg
import pytest
from sqlalchemy import event, make_url

from chaos.environment.postgres import Postgres
from chaos.process.ports import Port
from tests.integration.ledger.shop import ANY, ARTIFACT, buyer, grant, image
from workflows import ledger_engine
from workflows.ledger import Ledger, LedgerError
from workflows.paid_calls import Bought, State, Terms

# The server is watched by the event loop of all tests.
pytestmark = pytest.mark.asyncio(loop_scope="session")

UNREACHABLE = (
    "the ledger of paid calls cannot be reached; check that PostgreSQL runs and LEDGER_URL is "
    "right."
)
SILENT = "the ledger of paid calls does not answer; check that PostgreSQL runs and is not stopped."
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
    monkeypatch.setattr(ledger_engine, "_LOCK_SECONDS", 1)
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
    said = "the ledger of paid calls "
    wrong = {
        right.set(database="missing"): f"{said}is not there: no such database; restore it, or mend "
        "LEDGER_URL.",
        right.set(username="nobody"): f"{said}does not know the user in LEDGER_URL; create it, or "
        "mend LEDGER_URL.",
        right.set(port=free.number): UNREACHABLE,
    }
    for address, sentence in wrong.items():
        with pytest.raises(LedgerError) as raised:
            Ledger.open(address.render_as_string(hide_password=False), grace_seconds=5)
        assert (str(raised.value), raised.value.lasting) == (sentence, False)
        assert PASSWORD not in "".join(traceback.format_exception(raised.value))
    free.release()


async def test_an_address_that_cannot_be_read_is_said_without_the_password() -> None:
    for address in (f"postgresql://u:{PASSWORD}@127.0.0.1:port/d", f"x://u:{PASSWORD}@h/d"):
        with pytest.raises(LedgerError) as raised:
            Ledger.open(address, grace_seconds=5)
        assert raised.value.lasting
        assert PASSWORD not in "".join(traceback.format_exception(raised.value))


# A server that is stopped, as by SIGSTOP or with its machine


@contextmanager
def _stopped(postgres: Postgres) -> Iterator[None]:
    """Neither the server nor any of its sessions does anything; its kernel still answers."""
    processes = [psutil.Process(postgres.child.pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less patience, in the same proportions."""
    monkeypatch.setattr(ledger_engine, "_LOCK_SECONDS", 1)
    monkeypatch.setattr(ledger_engine, "_ANSWER_SECONDS", 3)
    monkeypatch.setattr(ledger_engine, "_CONNECT_SECONDS", 2)


@pytest.mark.usefixtures("quick")
async def test_a_stopped_server_ends_each_call_in_time_and_goes_on_afterwards(
    postgres: Postgres, postgres_url: str
) -> None:
    with closing(Ledger.open(postgres_url, grace_seconds=5)) as ledger:
        under_way = grant(ledger, image())
        acts = (
            lambda: ledger.reserve(image("video-001"), ANY),
            lambda: ledger.record(under_way, artifact=ARTIFACT),
            lambda: Ledger.open(postgres_url, grace_seconds=5),
        )
        with _stopped(postgres):
            for act in acts:
                began = time.monotonic()
                with pytest.raises(LedgerError) as raised:
                    await asyncio.to_thread(act)
                assert not raised.value.lasting
                assert time.monotonic() - began < 10

        assert ledger.record(under_way, artifact=ARTIFACT).artifact == ARTIFACT
        assert grant(ledger, image("video-001")).number == 1
        assert len(ledger.calls()) == 2


@pytest.mark.usefixtures("quick")
async def test_a_commit_that_a_stopped_server_did_not_confirm_grants_nothing_and_is_no_doubt(
    postgres: Postgres, postgres_url: str
) -> None:
    with closing(Ledger.open(postgres_url, grace_seconds=5)) as ledger, ExitStack() as stack:

        @event.listens_for(ledger._engine, "commit", once=True)
        def _stop(_connection: object) -> None:
            stack.enter_context(_stopped(postgres))

        with pytest.raises(LedgerError) as raised:
            await asyncio.to_thread(ledger.reserve, image(), ANY)
        assert (str(raised.value), raised.value.lasting) == (SILENT, False)
        stack.close()

        again = grant(ledger, image(), Terms(ambiguous_allowed=0))
        states = [call.state for call in ledger.calls()]
        assert states in ([State.REFUSED, State.INTENT], [State.INTENT])
        assert again.number == len(states)


# What a user of the database may not do


@pytest.fixture
async def poor_url(postgres: Postgres, postgres_url: str) -> AsyncIterator[str]:
    """The same database, by a user without any rights in it."""
    name = f"poor-{uuid4().hex}"
    await postgres.execute("postgres", f'CREATE ROLE "{name}" LOGIN')
    yield make_url(postgres_url).set(username=name).render_as_string(hide_password=False)
    await postgres.execute("postgres", f'DROP ROLE "{name}"')


async def test_a_user_without_rights_is_told_so(poor_url: str) -> None:
    with pytest.raises(LedgerError) as raised:
        Ledger.open(poor_url, grace_seconds=5)
    assert str(raised.value) == (
        "the ledger of paid calls may not be used by the user in LEDGER_URL; grant it all rights."
    )


async def test_a_database_that_takes_no_changes_is_told_and_goes_on_afterwards(
    postgres: Postgres, postgres_url: str, ledger: Ledger
) -> None:
    call = grant(ledger, image())
    name = make_url(postgres_url).database
    setting = f'ALTER DATABASE "{name}" SET default_transaction_read_only'
    await postgres.execute("postgres", f"{setting} = on")
    ledger._engine.dispose()

    with pytest.raises(LedgerError) as raised:
        ledger.record(call, artifact=ARTIFACT)
    await postgres.execute("postgres", f"{setting} = off")
    ledger._engine.dispose()

    assert (str(raised.value), raised.value.lasting) == (
        "the ledger of paid calls is read-only; have PostgreSQL take changes again.",
        False,
    )
    assert ledger.record(call, artifact=ARTIFACT).artifact == ARTIFACT


async def test_a_database_that_was_dropped_and_made_anew_grants_nothing(
    postgres: Postgres, postgres_url: str, ledger: Ledger
) -> None:
    name = make_url(postgres_url).database or ""
    grant(ledger, image())
    said = []

    def ask() -> None:
        with pytest.raises(LedgerError) as raised:
            ledger.reserve(image("video-001"), ANY)
        said.append(str(raised.value).removeprefix("the ledger of paid calls "))
        assert not raised.value.lasting

    await postgres.execute("postgres", f'DROP DATABASE "{name}" WITH (FORCE)')
    ask()
    await postgres.create_database(name)
    ask()
    Ledger.open(postgres_url, grace_seconds=5).close()
    ask()

    assert said == [
        "is not there: no such database; restore it, or mend LEDGER_URL.",
        "has lost its tables; put its newest state back.",
        "was replaced by another one; put its newest state back.",
    ]
