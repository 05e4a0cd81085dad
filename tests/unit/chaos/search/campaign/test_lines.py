"""What a campaign tells on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from chaos.invariants.verdict import Verdict
from chaos.search.campaign.lines import end_lines, lines_of, status_lines
from chaos.search.campaign.model import (
    Campaign,
    Ended,
    Judged,
    Lost,
    Machine,
    Never,
    Progress,
    Seeds,
    Stage,
    State,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_line_for_each_verdict_and_for_each_machine_that_was_lost() -> None:
    lost = (
        Lost(machine="two", attempt=1, stage=Stage.RUNNING),
        Lost(machine="", attempt=2, stage=Stage.WAITING),
    )
    progress = Progress(
        state=State.RUNNING,
        seen=9,
        total=12,
        recent=(
            Judged(name="a", verdict=Verdict.PASSED, machine="one"),
            Judged(name="b", verdict=Verdict.FAILED, reason="no", machine="one", lost=lost),
        ),
    )

    assert list(lines_of(progress)) == [
        "8/12  a: passed on one",
        "9/12  b: failed on one (no)",
        "   b ran again: machine two was lost while running",
        "   b ran again: its machine was lost while waiting",
    ]


def test_without_a_total_the_number_alone_is_told() -> None:
    judged = Judged(name="a", verdict=Verdict.UNKNOWN, reason="nobody could")
    progress = Progress(state=State.RUNNING, seen=1, recent=(judged,))

    assert list(lines_of(progress)) == ["1  a: unknown (nobody could)"]


def test_the_status_is_how_far_it_is_and_its_machines() -> None:
    progress = Progress(
        state=State.ENDING,
        seen=5,
        total=9,
        open=2,
        passed=3,
        failed=1,
        unknown=1,
        machines=(Machine(name="one", slots=1, judged=5, last_at=NOW),),
        minutes_left=1.25,
        why_ended="it was stopped",
    )

    campaign = Campaign(
        campaign_id="campaign-1", target="", code="abc", evidence="s3://bucket/chaos", work=Seeds()
    )

    assert list(status_lines(campaign, progress)) == [
        "campaign-1: ending (it was stopped)",
        "  5/9 judged: 3 passed, 1 failed, 1 unknown; 2 open",
        "  1.2 minutes left",
        "  evidence: s3://bucket/chaos/campaign-1",
        "  one: 1 case at once, 5 judged",
    ]


def test_the_end_names_what_has_no_verdict() -> None:
    ended = Ended(
        campaign_id="campaign-1",
        began_at=NOW,
        ended_at=NOW,
        why="it was stopped",
        judged=3,
        passed=2,
        failed=1,
        run_again=1,
        never=(Never(name="c", reason="it was stopped"),),
    )

    assert list(end_lines(ended)) == [
        "campaign-1 has ended, it was stopped: 3 judged, 2 passed, 1 failed, 0 unknown",
        "1 case ran again, because a machine was lost",
        "c has no verdict: it was stopped",
    ]
