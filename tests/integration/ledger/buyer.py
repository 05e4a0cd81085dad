"""`python -m tests.integration.ledger.buyer MODE URL`: says "up", then acts on each line it gets.

`open`: opens the ledger. `reserve`: reserves the step that the line names. `spend`: buys with four
threads until the budget that the line names is used up. `endless`: buys step after step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count

from tests.integration.ledger.shop import ANY, ARTIFACT, grant, image
from workflows.ledger import BudgetExceededError, Ledger, LedgerError
from workflows.paid_calls import Terms

_THREADS = 4


def _open(url: str) -> Callable[[str], str]:
    def act(_line: str) -> str:
        try:
            Ledger.open(url, grace_seconds=5).close()
        except LedgerError as error:
            return str(error)
        return "opened"

    return act


def _reserve(url: str) -> Callable[[str], str]:
    ledger = Ledger.open(url, grace_seconds=5)
    return lambda step: type(ledger.reserve(image(step), ANY)).__name__


def _spend(url: str) -> Callable[[str], str]:
    ledger = Ledger.open(url, grace_seconds=5)

    def act(line: str) -> str:
        name, budget = line.split()
        terms = Terms(ambiguous_allowed=0, budget_usd=Decimal(budget))

        def buy(thread: int) -> int:
            for bought in count():
                try:
                    call = grant(ledger, image(f"{thread}-{bought}", operation_id=name), terms)
                except BudgetExceededError:
                    return bought
                ledger.record(call, artifact=ARTIFACT)
            raise AssertionError

        with ThreadPoolExecutor(_THREADS) as pool:
            return str(sum(pool.map(buy, range(_THREADS))))

    return act


def _endless(url: str) -> Callable[[str], str]:
    ledger = Ledger.open(url, grace_seconds=5)

    def act(_line: str) -> str:
        for number in count():
            call = grant(ledger, image(f"step-{number}"))
            print("reserved", call.step, flush=True)  # noqa: T201 - its parent reads it
            ledger.record(call, artifact=ARTIFACT)
            print("recorded", call.step, flush=True)  # noqa: T201 - likewise
        raise AssertionError

    return act


_MODES = {"open": _open, "reserve": _reserve, "spend": _spend, "endless": _endless}


def main(mode: str, url: str) -> None:
    act = _MODES[mode](url)
    print("up", flush=True)  # noqa: T201 - likewise
    for line in sys.stdin:
        print(act(line.strip()), flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    main(*sys.argv[1:])
