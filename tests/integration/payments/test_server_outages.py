"""A journal on PostgreSQL whose server goes away and comes back."""

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
from tests.integration.payments.shop import ANY, ARTIFACT, buyer, grant, image, refused
from workflows.payments import engine
from workflows.payments.calls import AlreadyPaid, Limits, State
from workflows.payments.journal import JournalError, PaymentJournal

# The server is watched by the event loop of all tests.
pytestmark = pytest.mark.asyncio(loop_scope="session")

UNREACHABLE = (
    "the payment journal cannot be reached; check that PostgreSQL runs and PAYMENT_JOURNAL_URL is "
    "right."
)
SILENT = "the payment journal does not answer; check that PostgreSQL runs and is not stopped."
LOCKED = "the payment journal is locked by another program; end that program."
PASSWORD = "hunter2-secret"


@pytest.fixture
def journal(postgres_url: str) -> Iterator[PaymentJournal]:
    """A journal on PostgreSQL."""
    journal = PaymentJournal.open(postgres_url, grace_seconds=5)
    yield journal
    journal.close()


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
async def test_a_journal_goes_on_when_its_server_is_back(
    postgres: Postgres, journal: PaymentJournal, number: signal.Signals
) -> None:
    bought = journal.record(grant(journal, image()), artifact=ARTIFACT)
    under_way = grant(journal, image("video-001"))

    async with _down(postgres, number):
        for act in (
            lambda: journal.record(under_way, provider_operation="operations/1"),
            lambda: journal.reserve(image("video-002"), ANY),
            journal.billable_usd,
        ):
            with refused(UNREACHABLE, lasting=False):
                act()

    assert journal.reserve(image(), ANY) == AlreadyPaid(bought)
    recorded = journal.record(under_way, provider_operation="operations/1")
    assert journal.calls() == (bought, recorded)


async def test_a_killed_server_has_all_that_was_recorded(
    postgres: Postgres, journal: PaymentJournal, postgres_url: str, environment: dict[str, str]
) -> None:
    with buyer(environment, "endless", postgres_url) as victim:
        victim.tell()
        lines = [victim.hear() for _ in range(21)]
        async with _down(postgres, signal.SIGKILL):
            lines += iter(victim.hear, "")

    said = {tuple(line.split()) for line in lines if line}
    reserved = {call.step for call in journal.calls()}
    recorded = {call.step for call in journal.calls() if call.artifact}
    assert {step for what, step in said if what == "reserved"} <= reserved
    assert {step for what, step in said if what == "recorded"} <= recorded


async def test_a_session_that_the_server_ended_is_replaced_unnoticed(
    journal: PaymentJournal, postgres_url: str
) -> None:
    grant(journal, image())
    with _connect(postgres_url) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()

    assert ended == [(True,)]
    assert len(journal.calls()) == 1


async def test_a_journal_that_another_program_holds_is_free_again_afterwards(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LOCK_SECONDS", 1)
    journal = PaymentJournal.open(postgres_url, grace_seconds=5)
    with _connect(postgres_url) as holder:
        holder.execute("SELECT id FROM account FOR UPDATE")
        with pytest.raises(JournalError) as raised:
            journal.reserve(image(), ANY)

    assert (str(raised.value), raised.value.lasting) == (LOCKED, False)
    assert grant(journal, image()).number == 1
    journal.close()


async def test_a_wrong_name_or_port_is_said_without_the_password(postgres: Postgres) -> None:
    free = Port()
    right = make_url(postgres.url()).set(password=PASSWORD)
    said = "the payment journal "
    wrong = {
        right.set(
            database="missing"
        ): f"{said}has no such database; restore it, or correct PAYMENT_JOURNAL_URL.",
        right.set(
            username="nobody"
        ): f"{said}does not know the user in PAYMENT_JOURNAL_URL; create it, or "
        "correct PAYMENT_JOURNAL_URL.",
        right.set(port=free.number): UNREACHABLE,
    }
    for address, sentence in wrong.items():
        with pytest.raises(JournalError) as raised:
            PaymentJournal.open(address.render_as_string(hide_password=False), grace_seconds=5)
        assert (str(raised.value), raised.value.lasting) == (sentence, False)
        assert PASSWORD not in "".join(traceback.format_exception(raised.value))
    free.release()


async def test_an_address_that_cannot_be_read_is_said_without_the_password() -> None:
    for address in (f"postgresql://u:{PASSWORD}@127.0.0.1:port/d", f"x://u:{PASSWORD}@h/d"):
        with pytest.raises(JournalError) as raised:
            PaymentJournal.open(address, grace_seconds=5)
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
    monkeypatch.setattr(engine, "_LOCK_SECONDS", 1)
    monkeypatch.setattr(engine, "_ANSWER_SECONDS", 3)
    monkeypatch.setattr(engine, "_CONNECT_SECONDS", 2)


@pytest.mark.usefixtures("quick")
async def test_a_stopped_server_ends_each_call_in_time_and_goes_on_afterwards(
    postgres: Postgres, postgres_url: str
) -> None:
    with closing(PaymentJournal.open(postgres_url, grace_seconds=5)) as journal:
        under_way = grant(journal, image())
        acts = (
            lambda: journal.reserve(image("video-001"), ANY),
            lambda: journal.record(under_way, artifact=ARTIFACT),
            lambda: PaymentJournal.open(postgres_url, grace_seconds=5),
        )
        with _stopped(postgres):
            for act in acts:
                began = time.monotonic()
                with pytest.raises(JournalError) as raised:
                    await asyncio.to_thread(act)
                assert not raised.value.lasting
                assert time.monotonic() - began < 10

        assert journal.record(under_way, artifact=ARTIFACT).artifact == ARTIFACT
        assert grant(journal, image("video-001")).number == 1
        assert len(journal.calls()) == 2


@pytest.mark.usefixtures("quick")
async def test_a_commit_that_a_stopped_server_did_not_confirm_grants_nothing_and_is_no_doubt(
    postgres: Postgres, postgres_url: str
) -> None:
    with (
        closing(PaymentJournal.open(postgres_url, grace_seconds=5)) as journal,
        ExitStack() as stack,
    ):

        @event.listens_for(journal._engine, "commit", once=True)
        def _stop(_connection: object) -> None:
            stack.enter_context(_stopped(postgres))

        with refused(SILENT, lasting=False):
            await asyncio.to_thread(journal.reserve, image(), ANY)
        stack.close()

        again = grant(journal, image(), Limits(in_doubt_allowed=0))
        states = [call.state for call in journal.calls()]
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
    with pytest.raises(JournalError) as raised:
        PaymentJournal.open(poor_url, grace_seconds=5)
    assert str(raised.value) == (
        "the payment journal denies the user in PAYMENT_JOURNAL_URL access; grant it all "
        "privileges."
    )


async def test_a_database_that_takes_no_changes_is_told_and_goes_on_afterwards(
    postgres: Postgres, postgres_url: str, journal: PaymentJournal
) -> None:
    call = grant(journal, image())
    name = make_url(postgres_url).database
    setting = f'ALTER DATABASE "{name}" SET default_transaction_read_only'
    await postgres.execute("postgres", f"{setting} = on")
    journal._engine.dispose()

    with pytest.raises(JournalError) as raised:
        journal.record(call, artifact=ARTIFACT)
    await postgres.execute("postgres", f"{setting} = off")
    journal._engine.dispose()

    assert (str(raised.value), raised.value.lasting) == (
        "the payment journal is read-only; allow writes in PostgreSQL again.",
        False,
    )
    assert journal.record(call, artifact=ARTIFACT).artifact == ARTIFACT


async def test_a_database_that_was_dropped_and_made_anew_grants_nothing(
    postgres: Postgres, postgres_url: str, journal: PaymentJournal
) -> None:
    name = make_url(postgres_url).database or ""
    grant(journal, image())
    said = []

    def ask() -> None:
        with pytest.raises(JournalError) as raised:
            journal.reserve(image("video-001"), ANY)
        said.append(str(raised.value).removeprefix("the payment journal "))
        assert not raised.value.lasting

    await postgres.execute("postgres", f'DROP DATABASE "{name}" WITH (FORCE)')
    ask()
    await postgres.create_database(name)
    ask()
    PaymentJournal.open(postgres_url, grace_seconds=5).close()
    ask()

    assert said == [
        "has no such database; restore it, or correct PAYMENT_JOURNAL_URL.",
        "has lost its tables; restore its latest state.",
        "was replaced by another one; restore its latest state.",
    ]
