"""Lines for people: in columns, and cut where a terminal is too narrow."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from chaos.cli.terminal import columns, width

ROWS = [("a", "long name", "1"), ("bcd", "x", "")]


def test_cells_stand_one_below_the_other_without_blanks_at_the_end() -> None:
    assert columns(ROWS) == ["a    long name  1", "bcd  x"]
    assert columns(ROWS, indent="  ")[1] == "  bcd  x"


def test_a_terminal_gets_no_line_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda **_: os.terminal_size((10, 24)))

    assert columns(ROWS) == ["a    long…", "bcd  x"]


def test_without_a_terminal_there_is_no_width() -> None:
    assert width() is None
