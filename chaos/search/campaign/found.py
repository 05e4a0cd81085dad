"""What a machine finds out about a case, before it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaos.invariants.verdict import Verdict
from chaos.search.campaign.model import Stage

Say = Callable[[Stage], None]
"""Told how far a case is; its heartbeats carry it."""


@dataclass(frozen=True)
class Found:
    """The outcome of a case, judged by the evidence in its folder; the fields are those of `Judged`
    and `CaseRecord`.
    """

    verdict: Verdict
    reason: str = ""
    broke: str = ""
    cells: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    found: str = ""


class ElsewhereError(Exception):
    """Something that a case needs is not on this machine; another one may have it. One sentence."""
