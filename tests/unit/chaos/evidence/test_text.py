"""Text of others, as a terminal may have it."""

from __future__ import annotations

import pytest

from chaos.evidence.text import LONGEST, cell, line, lines, plain, writable
from tests.unit.chaos.hostile import FORGED, HOSTILE, LONG, forged, unseen


@pytest.mark.parametrize("made", [plain, line, cell], ids=lambda f: f.__name__)
def test_nothing_steers_is_unseen_or_begins_a_line(made: type[str]) -> None:
    shown = made(HOSTILE)

    assert unseen(shown) == set()
    assert "\n" not in shown
    assert "red" in shown
    assert FORGED in shown


def test_names_and_emojis_of_any_language_stay() -> None:
    text = "Größe 東京 שלום 🎬 ❤️ café"

    assert plain(text) == line(text) == cell(text) == text


def test_a_line_keeps_the_spaces_that_make_columns() -> None:
    assert line("  a    b  ") == "  a    b"
    assert plain("  a    b  ") == "a b"


def test_halves_of_characters_become_spaces() -> None:
    assert plain("a\ud800b\udcffc") == "a b c"


def test_several_lines_stay_several_but_none_looks_like_ours() -> None:
    shown = list(lines(f"{HOSTILE}\nlast\n  indented"))

    assert len(shown) > 5
    assert forged("\n".join(shown)) == []
    assert unseen("".join(shown)) == set()
    assert shown[-2:] == ["  last", "  indented"]


def test_no_text_at_all_is_an_empty_line() -> None:
    assert list(lines("")) == [""]


def test_a_cell_draws_no_column_and_stays_one_in_markdown() -> None:
    assert cell("a | b") == r"a \| b"


@pytest.mark.parametrize("made", [plain, line, cell], ids=lambda f: f.__name__)
def test_a_long_text_is_cut_openly(made: type[str]) -> None:
    shown = made(LONG)

    assert shown == f"{LONG[:LONGEST]} … ({len(LONG) - LONGEST} more characters)"


def test_what_no_file_can_hold_is_written_as_what_it_is() -> None:
    assert writable("a\udcffb") == r"a\udcffb"
    assert writable("größe 🎬") == "größe 🎬"
