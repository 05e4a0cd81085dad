"""Many threads and processes on one journal, and a process that dies amid its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal

import pytest

from tests.integration.payments.shop import ANY, ARTIFACT, PRICE, Buyer, buyer, grant, image
from workflows.payments.calls import Granted, State
from workflows.payments.journal import PaymentJournal

THREADS = 8
A_LITTLE = Decimal("0.000001")


@pytest.fixture
def buyers(url: str, environment: dict[str, str]) -> Iterator[tuple[Buyer, Buyer]]:
    """Two processes that reserve what they are told."""
    with (
        buyer(environment, "reserve", url) as one,
        buyer(environment, "reserve", url) as other,
    ):
        yield one, other


def test_of_two_processes_that_reserve_the_same_step_at_once_one_is_granted(
    buyers: tuple[Buyer, Buyer],
) -> None:
    for number in range(50):
        for each in buyers:
            each.tell(f"step-{number}")
        assert sorted(each.hear() for each in buyers) == ["Granted", "Open"]


def test_of_many_threads_that_reserve_the_same_step_at_once_one_is_granted(
    journal: PaymentJournal,
) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(20):
            wanted = [image(f"step-{number}")] * THREADS
            answers = list(pool.map(journal.reserve, wanted, [ANY] * THREADS))
            assert sum(isinstance(answer, Granted) for answer in answers) == 1


def test_of_processes_that_race_for_the_last_of_a_budget_one_gets_it(
    journal: PaymentJournal, url: str, environment: dict[str, str]
) -> None:
    with ExitStack() as stack:
        spenders = [stack.enter_context(buyer(environment, "spend", url)) for _ in range(3)]
        for affordable in range(1, 21):
            budget = (affordable + 1) * PRICE - A_LITTLE
            for number, spender in enumerate(spenders):
                spender.tell(f"op-{affordable}-{number} {budget}")
            assert sum(int(spender.hear()) for spender in spenders) == 1
            assert journal.billable_usd() == affordable * PRICE

    assert {call.state for call in journal.calls()} == {State.DONE}


def test_processes_that_open_a_new_journal_at_once_all_succeed(
    url: str, environment: dict[str, str]
) -> None:
    with ExitStack() as stack:
        openers = [stack.enter_context(buyer(environment, "open", url)) for _ in range(3)]
        for opener in openers:
            opener.tell()
        answers = [opener.hear() for opener in openers]

    assert answers == ["opened"] * 3
    journal = PaymentJournal.open(url, grace_seconds=5)
    assert grant(journal, image()).number == 1
    journal.close()


@pytest.mark.parametrize("told", [1, 20, 41], ids=lambda told: f"after {told} lines")
def test_a_killed_process_leaves_all_it_was_told_is_recorded(
    journal: PaymentJournal, url: str, environment: dict[str, str], told: int
) -> None:
    with buyer(environment, "endless", url) as victim:
        victim.tell()
        lines = [victim.hear() for _ in range(told)]
        victim.process.kill()
        # What it still managed to say before it died counts as well.
        lines += iter(victim.hear, "")

    said = Counter(line.split()[0] for line in lines if line.startswith(("reserved ", "recorded ")))
    states = Counter(call.state for call in journal.calls())
    assert states[State.DONE] >= said["recorded"]
    assert states.total() >= said["reserved"]
    assert states.total() <= said["reserved"] + 1, "more than it can have done"
    assert states[State.INTENT] <= 1
    journal.record(grant(journal, image("after")), artifact=ARTIFACT)
