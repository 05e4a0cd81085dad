"""What the journal's tests buy, and processes that buy beside them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest

from workflows.models import Artifact, Item
from workflows.payments.calls import Granted, Limits, PaidCall, PaidRequest
from workflows.payments.journal import JournalError, PaymentJournal

ANY = Limits(in_doubt_allowed=1)
NONE_IN_DOUBT = Limits(in_doubt_allowed=0)
PRICE = Decimal("0.039")
ARTIFACT = Artifact(path="op/character.png", sha256="0" * 64, size_bytes=1)


def image(
    step: str = "character",
    *,
    operation_id: str = "op",
    cost_usd: Decimal = PRICE,
    deadline_seconds: float = 60.0,
) -> PaidRequest:
    return PaidRequest(operation_id, step, Item.IMAGE, "a-model", cost_usd, deadline_seconds)


def grant(journal: PaymentJournal, request: PaidRequest, limits: Limits = ANY) -> PaidCall:
    """Reserve what must be granted."""
    answer = journal.reserve(request, limits)
    assert isinstance(answer, Granted), answer
    return answer.call


@contextmanager
def refused(sentence: str, *, lasting: bool) -> Iterator[None]:
    """The journal cannot do what is tried here, and says so."""
    with pytest.raises(JournalError) as raised:
        yield
    assert (str(raised.value), raised.value.lasting) == (sentence, lasting)


@dataclass(frozen=True)
class Buyer:
    """A process of `buyer.py`, which does one thing for each line that it is told."""

    process: subprocess.Popen[str]

    def tell(self, line: str = "") -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """Its next line; empty at its end."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def ask(self, line: str = "") -> str:
        self.tell(line)
        return self.hear()


@contextmanager
def buyer(environment: Mapping[str, str], *argv: str) -> Iterator[Buyer]:
    """A process that is up and waits for its first line."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.payments.buyer", *argv],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            made = Buyer(process)
            assert made.hear() == "up"
            yield made
        finally:
            process.kill()
