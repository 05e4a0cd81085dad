"""Text that may hold anything, shown by a Markdown reader as what it is."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from chaos.report import markdown

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = (
    "a|b|c",
    "`code` and ``more``",
    "<script>alert(1)</script>",
    "<!-- comment --> &lt; &amp;",
    "[link](http://example.com) ![image](x)",
    "*bold* **bolder** _it_ __more__ ~~gone~~",
    r"a \ backslash \| and \` more",
    "$x$ ${{ github.token }}",
    "many_words_with_underscores",
    "| --- | --- |",
)


def _shown(source: str) -> str:
    """What a reader shows of it, without what it made of it."""
    tokens = READER.parse(source)
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "text_special"}, source
    return "".join(child.content for child in inline)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stands_for_itself_in_a_list(text: str) -> None:
    assert _shown(markdown.bullets([markdown.escaped(text)])) == text


@pytest.mark.parametrize(
    "text",
    [
        *("# head", "###### head", "- item", "+ item", "= = =", "---", "1. one", "12) twelve"),
        *("> quote", "[ ] to do", "* * *", "#", "-"),
    ],
)
def test_what_begins_a_block_begins_none(text: str) -> None:
    assert _shown(markdown.paragraph(text)) == text
    assert _shown(markdown.bullets([markdown.escaped(text)])) == text
    kinds = {token.type for token in READER.parse(markdown.paragraph(text))}
    assert kinds == {"paragraph_open", "inline", "paragraph_close"}


def test_amounts_are_left_as_they_read_best_and_mathematics_is_none() -> None:
    assert markdown.escaped("$1.24 (ideal $1.20, waste $0.04)") == (
        "$1.24 (ideal $1.20, waste $0.04)"
    )
    assert markdown.escaped("$x$ and $5$ and ($1") == r"\$x\$ and \$5\$ and (\$1"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_within_its_cell(text: str) -> None:
    table = markdown.table(["One", "Two"], [[markdown.escaped(text), "next"]])

    cells = [token for token in READER.parse(table) if token.type == "inline"]

    assert [cell.content for cell in cells[::3]] == ["One", "next"]
    assert len(cells) == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_code_where_it_is_meant_to_be(text: str) -> None:
    (paragraph,) = (token for token in READER.parse(markdown.code(text)) if token.children)

    spans = [(span.type, span.content) for span in paragraph.children or ()]
    assert spans == [("code_inline", text)]


def test_blocks_that_fit_are_kept_whole_and_the_rest_is_told() -> None:
    blocks = ["first", "sécond" * 10, "third"]
    whole = "\n\n".join(blocks) + "\n"

    assert markdown.bounded(blocks, len(whole.encode()) + 10, "rest") == whole
    assert markdown.bounded(blocks, 40, "rest") == "first\n\nrest\n"
    assert len(markdown.bounded(blocks, 40, "rest").encode()) <= 40


def test_a_folded_block_is_whole_html_around_markdown() -> None:
    html = READER.render(markdown.folded("Title", markdown.bullets(["one", "two"])))

    assert html.count("<details>") == html.count("</details>") == 1
    assert html.count("<li>") == 2


def test_nobody_is_called_and_no_thread_is_marked() -> None:
    """GitHub would write to them where the text is a comment on a pull request."""
    text = "asked @octocat, (@team/all) of #12, owner/repo#7; 4711@host \\&#60; # 1"

    shown = _shown(markdown.escaped(text))

    assert shown.replace("\u200b", "") == text
    assert re.findall("[@#]\u200b?\\w+", shown) == [
        *("@\u200boctocat", "@\u200bteam", "#\u200b12", "#\u200b7", "@host", "#60"),
    ]
