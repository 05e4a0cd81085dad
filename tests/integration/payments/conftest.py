"""Fixtures: an empty journal on SQLite and on a real PostgreSQL server, one for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import pytest
import pytest_asyncio

from chaos.environment.postgres import Postgres, PostgresNotFoundError
from chaos.evidence.journal import Journal
from chaos.process.child import child_environment
from chaos.process.reaper import Reaper
from workflows.payments.journal import PaymentJournal


# For each module: a server that was killed first syncs its databases, one for each test before.
@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def postgres_if_any(
    reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Postgres | PostgresNotFoundError]:
    """The server of a module's tests, or why there is none."""
    logs = tmp_path_factory.mktemp("postgres-logs")
    scratch = _scratch(reaper.folder)
    journal = Journal(logs / "journal.jsonl", lambda _: None)
    try:
        server = Postgres.below(scratch, run_tag=reaper.run_tag, logs=logs, journal=journal)
    except PostgresNotFoundError as error:
        yield error
        return
    try:
        await server.start()
        yield server
    finally:
        await server.discard()
        journal.close()


def _scratch(folder: Path) -> Path:
    scratch = Path(mkdtemp(prefix="journal-tests-", dir=folder))
    scratch.chmod(0o711)  # PostgreSQL runs as another user where the tests run as root
    return scratch


@pytest.fixture
def postgres(postgres_if_any: Postgres | PostgresNotFoundError) -> Postgres:
    """The server of a module's tests. Whoever stops it starts it again."""
    if isinstance(postgres_if_any, PostgresNotFoundError):
        pytest.skip(str(postgres_if_any))
    return postgres_if_any


@pytest_asyncio.fixture(loop_scope="session")
async def postgres_url(postgres: Postgres) -> str:
    """An empty database of the test's own."""
    return await postgres.create_database(f"test-{uuid4().hex}")


@pytest_asyncio.fixture(loop_scope="session", params=["sqlite", "postgresql"])
async def url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres_if_any: Postgres | PostgresNotFoundError,
) -> str:
    """An empty database of the test's own, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'paid.db'}"
    if isinstance(postgres_if_any, PostgresNotFoundError):
        pytest.skip(str(postgres_if_any))
    return await postgres_if_any.create_database(f"test-{uuid4().hex}")


@pytest.fixture
def journal(url: str) -> Iterator[PaymentJournal]:
    """A journal of either kind. A reply may come up to 0.2 s after its deadline."""
    journal = PaymentJournal.open(url, grace_seconds=0.2)
    yield journal
    journal.close()


@pytest.fixture
def environment(reaper: Reaper, tmp_path: Path) -> dict[str, str]:
    """For processes beside the test."""
    return child_environment(reaper.run_tag, tmp_path, {})
