"""What broke, in words that are the same for the same defect: without ids, numbers and times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict

_BETWEEN = "; "
_LONGEST = 200
"""Of one problem, in characters: what follows is a cause of a cause."""

_QUOTED = re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"|`[^`]*`")
_HEX = re.compile(r"\b(?=[0-9a-f-]*[0-9])[0-9a-f]{4,}(?:-[0-9a-f]{4,})*\b")
_NUMBER = re.compile(r"[0-9]+(?:[.,:][0-9]+)*")


class Check(Protocol):
    """A `Finding` or a `CheckResult`."""

    @property
    def check(self) -> str:
        """Its name."""

    @property
    def verdict(self) -> Verdict:
        """What it found."""

    @property
    def problems(self) -> Sequence[str]:
        """Each in a sentence."""


def broke_of(checks: Iterable[Check], ids: Iterable[str] = ()) -> str:
    """The checks that failed, each with its kinds of problems; empty where none failed. `ids` are
    those of the case's workflows.
    """
    names = sorted(filter(None, ids), key=len, reverse=True)
    found = {
        f"{each.check}: {_kind_of(problem, names)}"
        for each in checks
        if each.verdict is Verdict.FAILED
        for problem in each.problems or ("it failed",)
    }
    return _BETWEEN.join(sorted(found))


def parts_of(broke: str) -> frozenset[str]:
    """Its parts: a failure is a known one if all of its parts are."""
    return frozenset(filter(None, broke.split(_BETWEEN)))


def _kind_of(problem: str, ids: Sequence[str]) -> str:
    """A problem without what differs between two cases of it."""
    text = plain(problem).replace(_BETWEEN.strip(), ",")
    for name in ids:
        text = text.replace(name, "*")
    for pattern, stands in ((_QUOTED, "*"), (_HEX, "#"), (_NUMBER, "#")):
        text = pattern.sub(stands, text)
    return text[:_LONGEST]
