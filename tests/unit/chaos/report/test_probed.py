"""The reports of a probe tell what is on record, the worst first, and whatever is in a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from chaos.cli.terminal import say_all
from chaos.invariants.verdict import Verdict
from chaos.report.html.probe import probe_view
from chaos.report.probed import PAGE, html, markdown, terminal_lines, write_reports
from chaos.search.probe.record import Fate, Finding, Probe, Undisturbed, load_probe
from tests.unit.chaos.hostile import HOSTILE, forged, unseen
from tests.unit.chaos.report.made_probe import CELLS, cell, probe

READER = MarkdownIt("commonmark").enable("table")


def test_the_worst_comes_first_everywhere() -> None:
    assert terminal_lines(probe())[2].split("|")[4].strip() == "stuck"
    assert [c.fate for c in probe().worst_first][:2] == [Fate.STUCK, Fate.DONE_TWICE]
    view = probe_view("probe", probe())
    assert view.rows[0].title == "charge_card"
    assert [each.fate for each in view.problems] == [Fate.STUCK, Fate.DONE_TWICE]


def test_what_was_found_alike_is_told_once() -> None:
    twice = probe_view("probe", probe()).problems[1]

    assert [each.title for each in twice.cells] == [
        "charge_card, completing",
        "call POST /charges, answered",
    ]


@pytest.mark.parametrize(
    ("fates", "verdict", "headline"),
    [
        ([Fate.SURVIVED], Verdict.PASSED, "Order survives at 1 of 1 points"),
        ([Fate.SENT_AGAIN, Fate.RAN_TWICE], Verdict.PASSED, "Order survives at 2 of 2 points"),
        ([Fate.SURVIVED, Fate.LOST], Verdict.FAILED, "Order breaks at 1 of 2 points"),
        ([Fate.UNKNOWN], Verdict.UNKNOWN, "No point of 1 was provably hit"),
        ([], Verdict.UNKNOWN, "Nothing was tried"),
    ],
)
def test_the_whole_is_as_good_as_its_worst_point(
    fates: list[Fate], verdict: Verdict, headline: str
) -> None:
    made = probe([cell("activity charge_card assigned", fate) for fate in fates])
    view = probe_view("probe", made)

    assert (view.verdict, view.headline) == (verdict, headline)
    assert made.is_fine is (verdict is Verdict.PASSED)


def test_what_broke_without_a_proven_hit_counts_as_broken_and_not_as_hit() -> None:
    broken = cell("activity charge_card failed", Fate.OTHER_RESULT)
    unproven = Finding(fate=Fate.UNKNOWN, text="not provably hit")
    made = probe([broken.model_copy(update={"findings": (*broken.findings, unproven)})])

    assert (made.hit, made.is_fine, made.worst_first[0].fate) == (0, False, Fate.OTHER_RESULT)
    assert probe([broken]).hit == 1


def test_each_cell_of_the_matrix_leads_to_its_timeline_and_its_command() -> None:
    page = html("probe", probe())

    for number, each in enumerate(probe().worst_first, start=1):
        assert f'href="#point-{number}"' in page
        assert f'id="point-{number}"' in page
        assert each.command.replace("'", "&#39;") in page


def test_a_call_at_several_boundaries_is_in_the_row_of_each() -> None:
    eager = cell("workflow_task Order completed", Fate.SURVIVED)
    also = CELLS[2].boundary
    view = probe_view("probe", probe([eager.model_copy(update={"also": (also,)})]))

    assert [row.title for row in view.rows] == ["workflow task Order", "charge_card"]
    assert view.rows[0].places[1] == view.rows[1].places[0] == view.cells


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    page = write_reports(tmp_path, probe())

    assert page == tmp_path / PAGE
    assert not re.search(r'(?:src|href)="(?!#|data:|probe\.|runs/)', page.read_text())
    assert load_probe(tmp_path) == probe()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"masked": ("everything",)}, "undisturbed results differ: everything"),
        ({"statuses": ("completed", "failed")}, "so no end counts as a finding"),
        ({"why": "TypeError: no order"}, "It fails undisturbed; is its input right? TypeError"),
        ({"notes": ("There is no {id}.",)}, "There is no {id}."),
    ],
)
def test_what_could_not_be_compared_is_told_everywhere(fields: dict[str, Any], words: str) -> None:
    statuses, why = fields.pop("statuses", ("failed", "failed")), fields.pop("why", "")
    run = Undisturbed(workflow_id="undisturbed-1", folder="1", status="", seconds=1, why=why)
    runs = tuple(run.model_copy(update={"status": status}) for status in statuses)
    made = probe(undisturbed=runs, **fields)

    assert words in html("probe", made)
    assert words in "\n".join(terminal_lines(made))
    assert words in markdown(made).replace("\\", "")


def _hostile() -> Probe:
    boundary = CELLS[2].boundary.model_copy(update={"subject": HOSTILE})
    moment = CELLS[0].timeline[0].model_copy(update={"text": HOSTILE})
    bad = CELLS[2].model_copy(
        update={
            "boundary": boundary,
            "also": (boundary,),
            "action": HOSTILE,
            "service": HOSTILE,
            "workflow_id": HOSTILE,
            "folder": HOSTILE,
            "command": HOSTILE,
            "timeline": (moment,),
            "findings": (Finding(fate=Fate.LOST, text=HOSTILE),),
        }
    )
    return probe(
        [bad],
        workflow=HOSTILE,
        command=HOSTILE,
        masked=(HOSTILE,),
        notes=(HOSTILE,),
        undisturbed=(
            Undisturbed(
                workflow_id=HOSTILE, folder=HOSTILE, status=HOSTILE, seconds=1, why=HOSTILE
            ),
        ),
        ended=HOSTILE,
    )


def test_hostile_text_makes_nothing_of_a_page() -> None:
    page = html(HOSTILE, _hostile())

    assert "<script>alert" not in page
    assert "<img" not in page
    assert not unseen(page)


def test_hostile_text_makes_nothing_of_markdown() -> None:
    text = markdown(_hostile())
    made = {token.type for token in READER.parse(text)}
    inline = {c.type for t in READER.parse(text) for c in t.children or ()}

    assert not forged(text)
    assert not unseen(text)
    assert not made & {"html_block", "hr", "fence", "code_block"}
    assert not inline & {"link_open", "image", "html_inline"}


def test_hostile_text_makes_no_line_of_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:

    say_all(terminal_lines(_hostile()))
    said = capsys.readouterr().out

    assert not forged(said)
    assert not unseen(said)
