"""What a project needs of a machine, and whether it is there, for `python -m chaos doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`missing`: scenarios cannot run without it. `optional`: only the named use needs it."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class Need:
    """One need. `found` is what the machine has; `how` says how to get it if it is missing."""

    state: State
    what: str
    needed_by: str
    found: str
    how: str = ""
