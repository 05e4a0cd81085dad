"""`python -m tests.integration.payments.buyer MODE URL`: says "up", then acts on each line it gets.

`open`: opens the journal. `reserve`: reserves the step that the line names. `spend`: buys with four
threads until the budget that the line names is used up. `endless`: buys step after step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count

from tests.integration.payments.shop import ANY, ARTIFACT, grant, image
from workflows.payments.calls import Limits
from workflows.payments.journal import BudgetExceededError, JournalError, PaymentJournal

_THREADS = 4


def _open(url: str) -> Callable[[str], str]:
    def act(_line: str) -> str:
        try:
            PaymentJournal.open(url, grace_seconds=5).close()
        except JournalError as error:
            return str(error)
        return "opened"

    return act


def _reserve(url: str) -> Callable[[str], str]:
    journal = PaymentJournal.open(url, grace_seconds=5)
    return lambda step: type(journal.reserve(image(step), ANY)).__name__


def _spend(url: str) -> Callable[[str], str]:
    journal = PaymentJournal.open(url, grace_seconds=5)

    def act(line: str) -> str:
        name, budget = line.split()
        limits = Limits(in_doubt_allowed=0, budget_usd=Decimal(budget))

        def buy(thread: int) -> int:
            for bought in count():
                try:
                    call = grant(journal, image(f"{thread}-{bought}", operation_id=name), limits)
                except BudgetExceededError:
                    return bought
                journal.record(call, artifact=ARTIFACT)
            raise AssertionError

        with ThreadPoolExecutor(_THREADS) as pool:
            return str(sum(pool.map(buy, range(_THREADS))))

    return act


def _endless(url: str) -> Callable[[str], str]:
    journal = PaymentJournal.open(url, grace_seconds=5)

    def act(_line: str) -> str:
        for number in count():
            call = grant(journal, image(f"step-{number}"))
            print("reserved", call.step, flush=True)  # noqa: T201 - its parent reads it
            journal.record(call, artifact=ARTIFACT)
            print("recorded", call.step, flush=True)  # noqa: T201 - its parent reads it
        raise AssertionError

    return act


_MODES = {"open": _open, "reserve": _reserve, "spend": _spend, "endless": _endless}


def main(mode: str, url: str) -> None:
    act = _MODES[mode](url)
    print("up", flush=True)  # noqa: T201 - its parent reads it
    for line in sys.stdin:
        print(act(line.strip()), flush=True)  # noqa: T201 - its parent reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
