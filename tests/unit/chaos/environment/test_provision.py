"""What a run stands on, by the topology that was chosen and what is installed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.environment.provision import Choice, NotInstalledError, Provisioned, provision
from chaos.environment.server import DevFactory
from chaos.environment.template import PostgresFactory
from chaos.environment.temporal import Topology
from chaos.process.programs import (
    TEMPORAL_CLI,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    BadBinaryError,
    Binary,
    BinaryNotFoundError,
    Program,
    Source,
)

POSTGRES = Choice(topology=Topology.POSTGRES)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The version of each program that there is; what is taken out is not there."""
    there = {
        TEMPORAL_CLI.name: "1.29.1",
        TEMPORAL_SERVER.name: "1.31.2",
        TEMPORAL_SQL_TOOL.name: "1.31.2",
    }

    def find(program: Program, named: Path | None, **_: object) -> Binary:
        if program.name not in there:
            raise BinaryNotFoundError(program, {Source.BUILD: "no luck"})
        path = named or Path("/found") / program.name
        return Binary(path, "answer", there[program.name], Source.CACHE)

    monkeypatch.setattr("chaos.environment.provision.find_program", find)
    monkeypatch.setattr(PostgresPrograms, "find", lambda: PostgresPrograms(Path("/pg"), None))
    return there


def _provision(choice: Choice, folder: Path = Path("/run")) -> Provisioned:
    return provision(
        choice, run_id="2026", run_tag=str(folder), announce=print, cancel=threading.Event()
    )


def test_a_dev_server_is_the_clis(versions: dict[str, str]) -> None:
    versions.pop(TEMPORAL_SERVER.name)
    found = _provision(Choice(temporal_cli=Path("/mine")))

    assert found.temporal_factory == DevFactory(Path("/mine"))
    assert (found.server_version, found.secrets) == ("1.29.1", ())


def test_a_cluster_is_of_the_servers_programs_and_needs_no_cli(
    versions: dict[str, str], tmp_path: Path
) -> None:
    versions.pop(TEMPORAL_CLI.name)
    choice = Choice(topology=Topology.POSTGRES, temporal_server=Path("/mine"))
    found = _provision(choice, tmp_path)

    assert isinstance(found.temporal_factory, PostgresFactory)
    assert (found.temporal_factory.server, found.temporal_factory.sql_tool) == (
        Path("/mine"),
        Path("/found/temporal-sql-tool"),
    )
    assert found.temporal_factory.scratch.parent == tmp_path
    assert found.server_version == "1.31.2"


def test_a_server_and_a_tool_that_do_not_fit_are_refused(versions: dict[str, str]) -> None:
    versions[TEMPORAL_SERVER.name] = "1.30.0"

    with pytest.raises(BadBinaryError, match=r"has version 1\.30\.0 and .* has 1\.31\.2: give two"):
        _provision(POSTGRES)


def test_without_postgresql_it_is_not_installed(
    versions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> PostgresPrograms:
        raise PostgresNotFoundError("no initdb anywhere; install it.")

    monkeypatch.setattr(PostgresPrograms, "find", none)

    with pytest.raises(NotInstalledError, match=r"cannot run here: no initdb anywhere; install"):
        _provision(POSTGRES)
    assert versions


@pytest.mark.parametrize("program", [TEMPORAL_SERVER, TEMPORAL_SQL_TOOL], ids=lambda p: p.name)
def test_without_a_program_and_go_it_is_not_installed(
    program: Program,
    versions: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    versions.pop(program.name)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        NotInstalledError,
        match=rf"neither the {program.title} nor Go to build it; .* "
        rf"{program.variable}",
    ):
        _provision(POSTGRES)


def test_a_build_that_fails_is_no_reason_to_skip(
    versions: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    versions.pop(TEMPORAL_SERVER.name)
    (tmp_path / "go").write_text("#!/bin/sh")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BinaryNotFoundError, match="no luck"):
        _provision(POSTGRES)
