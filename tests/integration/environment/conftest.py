"""Fixtures: clusters on PostgreSQL, one of them with mTLS, and whole runs of pytest against it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from temporalio.service import TLSConfig

from chaos.environment.cluster import TemporalCluster
from chaos.environment.factory import ProcessFactory
from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.environment.roles import FrontendTls
from chaos.environment.template import PostgresFactory
from chaos.environment.temporal import StackSpec
from chaos.evidence.journal import Journal
from chaos.process.programs import TEMPORAL_SERVER, TEMPORAL_SQL_TOOL, find_program
from chaos.process.reaper import Reaper

PROJECT = Path(__file__).parents[3]
SERVER_NAME = "temporal.test"


@dataclass(frozen=True)
class Certificates:
    """Files of one authority: for the server, and for whoever is let in."""

    tls: FrontendTls
    options: Mapping[str, TLSConfig]

    @classmethod
    def below(cls, folder: Path) -> Certificates:
        folder.mkdir()
        authority = trustme.CA()
        server, client = authority.issue_cert(SERVER_NAME), authority.issue_cert("client.test")
        tls = FrontendTls(
            ca=folder / "ca.pem",
            name=SERVER_NAME,
            server_certificate=folder / "server.pem",
            server_key=folder / "server.key",
            client_certificate=folder / "client.pem",
            client_key=folder / "client.key",
        )
        authority.cert_pem.write_to_path(tls.ca)
        for leaf, certificate, key in (
            (server, tls.server_certificate, tls.server_key),
            (client, tls.client_certificate, tls.client_key),
        ):
            leaf.cert_chain_pems[0].write_to_path(certificate)
            leaf.private_key_pem.write_to_path(key)
        options = TLSConfig(
            server_root_ca_cert=tls.ca.read_bytes(),
            domain=SERVER_NAME,
            client_cert=tls.client_certificate.read_bytes(),
            client_private_key=tls.client_key.read_bytes(),
        )
        return cls(tls, {"tls": options})

    @property
    def environment(self) -> dict[str, str]:
        """As a user would set it."""
        return {
            "TEMPORAL_TLS": "true",
            "TEMPORAL_TLS_SERVER_NAME": self.tls.name,
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(self.tls.ca),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(self.tls.client_certificate),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(self.tls.client_key),
        }


MakeFactory = Callable[..., PostgresFactory]


@pytest.fixture(scope="session")
def make_factory(reaper: Reaper) -> MakeFactory:
    """Makes a factory of clusters, each with a template of its own."""
    try:
        PostgresPrograms.find()
    except PostgresNotFoundError as error:
        pytest.skip(str(error))
    server = find_program(TEMPORAL_SERVER, None, announce=print)
    sql_tool = find_program(TEMPORAL_SQL_TOOL, None, announce=print)

    def make(name: str, **options: object) -> PostgresFactory:
        scratch = reaper.folder / name
        return PostgresFactory(server.path, sql_tool.path, scratch, reaper.run_tag, **options)  # type: ignore[arg-type]  # the tests' own spelling of two options

    return make


@asynccontextmanager
async def running(
    factory: PostgresFactory, folder: Path, spec: StackSpec | None = None
) -> AsyncIterator[TemporalCluster]:
    """A cluster that answers."""
    scratch, logs = factory.scratch.with_name(f"{factory.scratch.name}-cluster"), folder / "logs"
    scratch.mkdir()
    journal = Journal(folder / "journal.jsonl", lambda _: None)
    try:
        site = ProcessFactory(factory.run_tag, scratch, logs, journal)
        cluster = await factory.make(spec or StackSpec(), site)
        try:
            await cluster.start()
            yield cluster
        finally:
            await cluster.discard()
    finally:
        journal.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreign(
    make_factory: MakeFactory, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Foreign]:
    """A cluster of somebody else's, which lets in only who has a certificate."""
    folder = tmp_path_factory.mktemp("foreign")
    certificates = Certificates.below(folder / "certificates")
    factory = make_factory("foreign", tls=certificates.tls, options=certificates.options)
    async with running(factory, folder) as cluster:
        yield Foreign(cluster, certificates)


@dataclass(frozen=True)
class Foreign:
    """The cluster, and what a user of it has."""

    cluster: TemporalCluster
    certificates: Certificates

    @property
    def environment(self) -> dict[str, str]:
        """How a user reaches it."""
        return {
            "TEMPORAL_ADDRESS": self.cluster.address,
            "TEMPORAL_NAMESPACE": self.cluster.namespace,
            **self.certificates.environment,
        }


class ExternalRun:
    """`pytest -m chaos --topology external` in a process of its own."""

    def __init__(
        self, folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str]
    ) -> None:
        self.reports = folder / "reports"
        self._output = folder / "output.txt"
        command = [sys.executable, "-m", "pytest", "-m", "chaos", "-p", "no:cacheprovider"]
        known = {n: v for n, v in os.environ.items() if not n.startswith("TEMPORAL_")}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(*command, "tests/chaos", "--topology=external"),
                    *(f"--reports={self.reports}", *arguments),
                ],
                cwd=PROJECT,
                env={**known, "HOME": str(folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def until_it_says(self, text: str) -> None:
        end = time.monotonic() + 60
        while text not in self.output:
            assert time.monotonic() < end, self.output
            time.sleep(0.05)

    def end(self, deadline_seconds: float = 150) -> int:
        return self.process.wait(deadline_seconds)


StartRun = Callable[..., ExternalRun]


@pytest.fixture
def start_run(tmp_path: Path) -> Iterator[StartRun]:
    """Start a run; it does not outlive the test."""
    with _ending() as runs:

        def start(*arguments: str, **environment: str) -> ExternalRun:
            runs.append(ExternalRun(tmp_path, arguments, environment))
            return runs[-1]

        yield start


@contextmanager
def _ending() -> Iterator[list[ExternalRun]]:
    runs: list[ExternalRun] = []
    try:
        yield runs
    finally:
        for run in runs:
            run.process.kill()
            run.process.wait()
