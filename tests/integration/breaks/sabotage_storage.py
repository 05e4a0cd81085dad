"""Faults to plant in a worker that show when a disk is full, or the server's state is old.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from workflows import policies
from workflows.payments import engine, identity
from workflows.payments.calls import Answer, Limits, PaidCall, PaidRequest
from workflows.payments.execute import PaidCalls
from workflows.payments.identity import Binding
from workflows.payments.journal import PaymentJournal
from workflows.payments.replies import ImageReplies, VideoReplies


def pays_on_a_full_disk() -> None:
    """Ask for no room before a paid call, and put nothing down beside the artifacts."""
    policies.FREE_BYTES = 0

    async def no_note(self: PaidCalls, call: PaidCall) -> None:
        del self, call

    PaidCalls._note = no_note  # type: ignore[method-assign]


def drops_what_finds_no_room() -> None:
    """Do not wait with a reply that was paid for until it can be stored."""
    policies.STORE_PATIENCE = timedelta(0)


def takes_a_full_disk_for_lasting() -> None:
    """Give up where room may be made."""
    engine._SENTENCES = tuple(  # type: ignore[assignment]
        (words, lasting or "make room" in said, said) for words, lasting, said in engine._SENTENCES
    )


def keeps_a_journal_of_its_own() -> None:
    """Know nothing of what other workers have paid for, and ask no file about it."""
    os.environ["PAYMENT_JOURNAL_URL"] += f".{os.getpid()}"
    reserve = PaymentJournal.reserve

    def knows_nothing(self: PaymentJournal, request: PaidRequest, limits: Limits) -> Answer:
        return reserve(self, replace(request, sent=0, made_from=None), limits)

    PaymentJournal.reserve = knows_nothing  # type: ignore[method-assign]
    Binding.is_known = lambda self: False  # type: ignore[method-assign]  # noqa: ARG005 - its name
    Binding.objection = lambda *_: None  # type: ignore[method-assign]
    identity.has_paid_work = lambda *_, **__: False
    ImageReplies.require_none = lambda *_: None  # type: ignore[method-assign]
    VideoReplies.require_none = lambda *_: None  # type: ignore[method-assign]


def takes_an_outage_for_death() -> None:
    """Have the server miss a heartbeat after 2 s."""
    policies.HEARTBEAT_TIMEOUT = 2 * policies.HEARTBEAT_INTERVAL
