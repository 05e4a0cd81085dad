"""What a campaign's workflow knows: counts, machines, running time, and how much it hands out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chaos.invariants.verdict import Verdict
from chaos.search.campaign.account import MOST_RECENT, MOST_TOLD, SILENT_AFTER, Account, Limits
from chaos.search.campaign.model import Judged, Lost, Stage, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def _judged(name: str, machine: str = "one", slots: int = 3, *lost: str) -> Judged:
    return Judged(
        name=name,
        verdict=Verdict.PASSED,
        machine=machine,
        slots=slots,
        cells=("kill x a",),
        shapes=("s",),
        lost=tuple(Lost(machine=each, attempt=1, stage=Stage.RUNNING) for each in lost),
    )


def test_every_verdict_is_counted_and_untold() -> None:
    account = Account()
    for number, verdict in enumerate(Verdict):
        account.judge(Judged(name=f"c{number}", verdict=verdict), NOW)
    account.give_up("lost", "nobody could", NOW)

    assert (account.passed, account.failed, account.unknown, account.seen) == (1, 1, 2, 4)
    assert [each.name for each in account.untold] == ["c0", "c1", "c2", "lost"]
    ended = account.ended("campaign-1", NOW)
    assert (ended.judged, ended.unknown) == (4, 2)
    assert [(each.name, each.reason) for each in ended.never] == [("lost", "nobody could")]


def test_the_last_verdicts_are_kept_without_what_they_covered() -> None:
    account = Account()
    for number in range(MOST_RECENT + 5):
        account.judge(_judged(f"c{number}"), NOW)

    assert len(account.recent) == MOST_RECENT
    assert (account.recent[-1].cells, account.untold[-1].cells) == ((), ("kill x a",))
    progress = account.progress(NOW, State.RUNNING, 0, MOST_RECENT + 3)
    assert [each.name for each in progress.recent] == [
        f"c{MOST_RECENT + 3}",
        f"c{MOST_RECENT + 4}",
    ]
    assert account.progress(NOW, State.RUNNING, 0, account.seen).recent == ()
    assert account.progress(NOW, State.RUNNING, 0, account.seen + 9).recent == ()
    assert len(account.progress(NOW, State.RUNNING, 0, 0).recent) == MOST_RECENT


def test_the_slots_are_those_of_the_machines_that_are_heard() -> None:
    account = Account()
    account.judge(_judged("a", "one", 3), NOW)
    account.judge(_judged("b", "two", 8), _after(1))
    assert account.slots(_after(1)) == 11

    assert account.slots(NOW + SILENT_AFTER + timedelta(seconds=1)) == 8
    account.judge(_judged("c", "three", 2, "two"), _after(2))
    assert account.slots(_after(2)) == 5, "two was lost"
    assert account.run_again == 1


@pytest.mark.parametrize(
    ("slots", "opened", "room"),
    [
        (0, 0, 16),
        (0, 16, 0),
        (0, 13, 0),  # too few for a turn
        (0, 12, 4),
        (30, 40, 20),
        (30, 70, 0),
        (500, 0, MOST_TOLD),
    ],
)
def test_two_cases_are_open_for_each_slot(slots: int, opened: int, room: int) -> None:
    account = Account()
    if slots:
        account.judge(_judged("a", slots=slots), NOW)

    assert account.room(NOW, opened) == room


def test_whatever_is_open_few_cases_are_asked_for_when_none_is() -> None:
    assert Account(limits=Limits(least_open=1)).room(NOW, 0) == 1


def test_its_minutes_are_those_that_it_runs() -> None:
    account = Account()
    account.resume(NOW)
    account.grant(10, NOW)
    account.pause(_after(4))
    assert account.state(_after(60)) is State.PAUSED
    assert account.left(_after(60)) == timedelta(minutes=6)
    account.pause(_after(61))

    account.resume(_after(100))
    account.resume(_after(101))

    assert account.left(_after(103)) == timedelta(minutes=3)
    assert not account.is_up(_after(105.9))
    assert account.is_up(_after(106))
    assert account.state(_after(106)) is State.ENDING
    account.grant(5, _after(107))
    assert account.left(_after(107)) == timedelta(minutes=5)
    account.grant(None, _after(108))
    assert account.left(_after(9999)) is None


def test_all_of_it_goes_along_when_the_workflow_continues_as_new() -> None:
    account = Account()
    account.resume(NOW)
    account.grant(10, NOW)
    account.judge(_judged("a", "two", 8, "one"), NOW)
    account.give_up("b", "nobody could", NOW)

    assert Account.model_validate_json(account.model_dump_json()) == account
