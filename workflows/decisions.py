"""Which decision of an operator on an open call can be taken."""

from __future__ import annotations

import re

from workflows.models import Choice, Decision, Item, OpenCall

_OPERATION_NAME = re.compile(r"models/[^/\s]+/operations/[^/\s]+")


def objection(call: OpenCall | None, decision: Decision) -> str | None:
    """Why a decision cannot be taken; None where it can."""
    if call is None:
        return "there is nothing to decide now."
    if call.settle_at is not None:
        return f"its reply may still come until {call.settle_at:%H:%M:%S} UTC; decide after that."
    if decision.step != call.step:
        return f"the open call is that of {call.step!r}, not of {decision.step!r}."
    if decision.choice is Choice.MADE and call.item is Item.IMAGE:
        return "an image cannot be fetched later: choose resend or give_up."
    name = decision.provider_operation or ""
    if decision.choice is Choice.MADE and not _OPERATION_NAME.fullmatch(name):
        return "made needs provider_operation, such as models/MODEL/operations/ID."
    return None
