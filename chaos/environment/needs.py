"""A project's needs of a machine, and whether they are met, as `python -m chaos doctor` says it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`missing`: scenarios cannot run without it. `optional`: only what is named beside it."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class Need:
    """One thing. `found` is what there is of it; `how` says how to get it where that is needed."""

    state: State
    what: str
    needed_by: str
    found: str
    how: str = ""
