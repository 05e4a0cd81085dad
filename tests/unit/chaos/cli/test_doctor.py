"""`chaos doctor`: what it says of packages and of the machine, and its exit codes."""

from __future__ import annotations

from importlib import metadata

import pytest

from chaos.__main__ import main
from chaos.cli import doctor, machine
from chaos.cli.doctor import lacking_packages
from chaos.environment.needs import Need, State

HERE = Need(State.OK, "Temporal CLI", "all scenarios", "/opt/temporal")
ABSENT = Need(State.MISSING, "Temporal CLI", "all scenarios", "none", "install Go")
UNUSED = Need(State.OPTIONAL, "PostgreSQL", "--topology postgres", "none", "install it")


def _say(monkeypatch: pytest.MonkeyPatch, *findings: Need) -> int:
    monkeypatch.setattr(machine, "examine", lambda _: iter(findings))
    return main(["doctor"])


def test_what_is_optional_hinders_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _say(monkeypatch, HERE, UNUSED) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "pytest -m chaos can run here."
    assert said[3].split() == ["optional", "PostgreSQL", "--topology", "postgres", "none"]
    assert said[5:7] == ["How to get it:", "  PostgreSQL  install it"]


def test_what_is_missing_hinders_and_is_named_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _say(monkeypatch, ABSENT, UNUSED) == 1

    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "pytest -m chaos cannot run here yet; missing: Temporal CLI."


def test_without_a_terminal_it_is_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _say(monkeypatch, HERE, ABSENT, UNUSED)

    assert "\x1b" not in capsys.readouterr().out


def test_this_python_lacks_nothing() -> None:
    assert lacking_packages() == []


def test_an_absent_package_and_an_old_one_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ("pytest>=1", "no-such-package[extra]>=1,<2", f"pytest<{metadata.version('pytest')}")
    monkeypatch.setattr(doctor, "_requirements", lambda: wanted)

    assert lacking_packages() == list(wanted[1:])


def test_nothing_else_is_looked_at_where_packages_are_lacking(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_requirements", lambda: ("no-such-package>=1",))

    assert _say(monkeypatch, HERE) == 1

    said = capsys.readouterr().out
    assert "lacks packages:\n  no-such-package>=1\n" in said
    assert "Temporal" not in said
