"""Where a crash makes a difference: a boundary of a piece of work, as the wire sees it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class BoundaryError(ValueError):
    """A text names no boundary. One sentence: why, and what would."""


class Kind(StrEnum):
    """What a worker is busy with."""

    WORKFLOW_TASK = "workflow_task"
    ACTIVITY = "activity"
    HEARTBEAT = "heartbeat"
    QUERY = "query"
    UPDATE = "update"
    MARKER = "marker"
    CALL = "call"

    @property
    def words(self) -> str:
        """As people read it."""
        return self.replace("_", " ")


class Stage(StrEnum):
    """How far it is with that.

    `ASSIGNED`: the server has given it out, and the worker has not got it. `DELIVERED`: the worker
    has it, and its report is held back. `COMPLETING`: the worker reports, and the server has not
    heard. `COMPLETED`: the server has taken the report, and the worker does not know. `FAILING` and
    `FAILED` are the same of a report that it failed or was cancelled. Of a call of a service,
    `LEAVING` is before the service gets it, `ANSWERED` after the service has answered and before
    the worker hears.
    """

    ASSIGNED = "assigned"
    DELIVERED = "delivered"
    COMPLETING = "completing"
    COMPLETED = "completed"
    FAILING = "failing"
    FAILED = "failed"
    LEAVING = "leaving"
    ANSWERED = "answered"


REPORTS = {Stage.COMPLETING: Stage.COMPLETED, Stage.FAILING: Stage.FAILED}
"""Where a worker reports and the server has not heard, and where it is once the server has."""

_OF_TASKS = frozenset(Stage) - {Stage.LEAVING, Stage.ANSWERED}
_OF_REPORTS = frozenset({Stage.COMPLETING, Stage.COMPLETED})
STAGES = {
    Kind.WORKFLOW_TASK: _OF_TASKS,
    Kind.ACTIVITY: _OF_TASKS,
    Kind.HEARTBEAT: _OF_REPORTS,
    Kind.QUERY: _OF_TASKS,
    Kind.UPDATE: _OF_TASKS,
    Kind.MARKER: _OF_REPORTS,
    Kind.CALL: frozenset({Stage.LEAVING, Stage.ANSWERED}),
}
"""Which stages a kind has."""

ANY = "*"
"""In the place of a subject: whatever it is of."""

_TEXT = re.compile(
    r"(?P<kind>[a-z_]+) (?P<subject>.+) (?P<stage>[a-z]+)(?: (?P<ordinal>[0-9]{1,6}))?",
    re.DOTALL,  # a name may have any character
)


def numbered(subject: str, ordinal: int) -> str:
    """One of several of the same: `charge_card`, and the second is `charge_card 2`."""
    return subject if ordinal == 1 else f"{subject} {ordinal}"


class Boundary(BaseModel):
    """One of them: `activity charge_card completing 1`.

    `subject` is the type of the workflow, the activity, the query or the update, the name of the
    marker, or the method and path of a call, whose words with a digit are `*`. `ordinal` counts
    from 1 what has the same kind and subject, within its workflow; attempts of one activity count
    once. Calls are counted on their line: at a breakpoint from when that is set on, on record from
    when the line was opened. A breakpoint's subject may be `*`: of the same kind whatever comes to
    that stage is counted there from when it is set on, of all workflows and on all lines that it is
    for, as in `activity * completing 2`.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    subject: str = Field(min_length=1)
    stage: Stage
    ordinal: int = Field(default=1, ge=1)

    @property
    def is_counted(self) -> bool:
        """Whether a breakpoint counts what comes there, by which its number is known."""
        return self.kind is Kind.CALL or self.subject == ANY

    def covers(self, other: Boundary) -> bool:
        """Whether a call that is there is meant, if need be by its turn."""
        return (
            (self.kind, self.stage) == (other.kind, other.stage)
            and self.subject in {ANY, other.subject}
            and (self.is_counted or self.ordinal == other.ordinal)
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.stage} {self.ordinal}"

    def at(self, stage: Stage) -> Self:
        """That of the same piece of work, at another stage."""
        return self.model_copy(update={"stage": stage})

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its own words; without a number it is the first. Raises BoundaryError."""
        found = _TEXT.fullmatch(text)
        if not found or found["kind"] not in set(Kind) or found["stage"] not in set(Stage):
            raise BoundaryError(
                f"{text!r} is not a boundary: write a kind ({', '.join(Kind)}), what it is of, a "
                f"stage ({', '.join(Stage)}) and, if it is not the first, a number, such as "
                "'activity charge_card completing 2'."
            )
        kind, stage = Kind(found["kind"]), Stage(found["stage"])
        if stage not in STAGES[kind]:
            known = ", ".join(each for each in Stage if each in STAGES[kind])
            raise BoundaryError(f"{text!r} is not a boundary: a {kind} has the stages {known}.")
        ordinal = int(found["ordinal"] or 1)
        if ordinal < 1:
            raise BoundaryError(f"{text!r} is not a boundary: numbers begin at 1.")
        return cls(kind=kind, subject=found["subject"], stage=stage, ordinal=ordinal)


class Crossing(BaseModel):
    """A boundary that a call has come to, and whose. `during` are the activities that the line's
    worker had in flight when a service was called, such as `charge_card` or the second,
    `charge_card 2`. Such a call is of their workflow if they have but one, and of the attempt of
    one alone.
    """

    model_config = ConfigDict(frozen=True)

    boundary: Boundary
    workflow_id: str = ""
    run_id: str = ""
    attempt: int = 1
    during: tuple[str, ...] = ()

    def at(self, stage: Stage) -> Self:
        """The same piece of work, at another stage."""
        return self.model_copy(update={"boundary": self.boundary.at(stage)})
