"""What a run stands on, by the topology that was chosen and what is installed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chaos.environment import provision as choose
from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.environment.provision import Choice, Chooser, NotInstalledError
from chaos.environment.server import DevMaker
from chaos.environment.template import PostgresMaker
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

    monkeypatch.setattr(choose, "find_program", find)
    monkeypatch.setattr(PostgresPrograms, "find", lambda: PostgresPrograms(Path("/pg"), None))
    return there


@pytest.fixture
def chooser(tmp_path: Path) -> Chooser:
    return Chooser("2026", str(tmp_path), print, threading.Event())


def test_a_dev_server_is_the_clis(versions: dict[str, str], chooser: Chooser) -> None:
    versions.pop(TEMPORAL_SERVER.name)
    ground = chooser.find(Choice(temporal_cli=Path("/mine")))

    assert ground.maker == DevMaker(Path("/mine"))
    assert (ground.server_version, ground.secrets) == ("1.29.1", ())


def test_a_cluster_is_of_the_servers_programs_and_needs_no_cli(
    versions: dict[str, str], chooser: Chooser, tmp_path: Path
) -> None:
    versions.pop(TEMPORAL_CLI.name)
    ground = chooser.find(Choice(topology=Topology.POSTGRES, temporal_server=Path("/mine")))

    assert isinstance(ground.maker, PostgresMaker)
    assert (ground.maker.server, ground.maker.sql_tool) == (
        Path("/mine"),
        Path("/found/temporal-sql-tool"),
    )
    assert ground.maker.scratch.parent == tmp_path
    assert ground.server_version == "1.31.2"


def test_a_server_and_a_tool_that_do_not_fit_are_refused(
    versions: dict[str, str], chooser: Chooser
) -> None:
    versions[TEMPORAL_SERVER.name] = "1.30.0"

    with pytest.raises(
        BadBinaryError, match=r"is of version 1\.30\.0 and .* of 1\.31\.2: name two"
    ):
        chooser.find(POSTGRES)


def test_without_postgresql_it_is_not_installed(
    versions: dict[str, str], chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> PostgresPrograms:
        raise PostgresNotFoundError("no initdb anywhere; install it.")

    monkeypatch.setattr(PostgresPrograms, "find", none)

    with pytest.raises(NotInstalledError, match=r"cannot run here: no initdb anywhere; install"):
        chooser.find(POSTGRES)
    assert versions


@pytest.mark.parametrize("program", [TEMPORAL_SERVER, TEMPORAL_SQL_TOOL], ids=lambda p: p.name)
def test_without_a_program_and_go_it_is_not_installed(
    program: Program,
    versions: dict[str, str],
    chooser: Chooser,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    versions.pop(program.name)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        NotInstalledError, match=rf"no {program.title}, nor Go to build it; .* {program.variable}"
    ):
        chooser.find(POSTGRES)


def test_a_build_that_fails_is_no_reason_to_skip(
    versions: dict[str, str],
    chooser: Chooser,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    versions.pop(TEMPORAL_SERVER.name)
    (tmp_path / "go").write_text("#!/bin/sh")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BinaryNotFoundError, match="no luck"):
        chooser.find(POSTGRES)
