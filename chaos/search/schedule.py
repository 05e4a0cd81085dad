"""A schedule as data: which workflows start when, and which faults come when and for how long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chaos.environment.target import Target
from chaos.evidence.files import read_file, write_file
from chaos.evidence.spec import WorkflowSpec
from chaos.evidence.text import plain
from chaos.faults import AnyFault, AtBoundary, CommandFault
from chaos.process.foreign import shown

FILE = "schedule.json"
"""The file of the schedule in a case's folder."""

_OF_A_START = ("workflow_id", "at_seconds")


Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""The longest time in a schedule, a day."""


class ScheduleError(Exception):
    """A schedule cannot be read. One sentence: what is wrong and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Planned(_Part):
    """A fault, `at_seconds` after the load began and for `lasting_seconds`."""

    at_seconds: Seconds
    lasting_seconds: Seconds
    fault: AnyFault

    @property
    def ends_at_seconds(self) -> float:
        """When it is healed."""
        return self.at_seconds + self.lasting_seconds


class PlannedStart(_Part):
    """A workflow that starts at a time; `spec` is a name of `Target.specs`."""

    workflow_id: str
    spec: str
    at_seconds: Seconds


class Schedule(_Part):
    """Everything that happens in one experiment. It is resolved: running it draws nothing. Since
    schema 3 a seed draws faults of the wire as well; with the `families` of schema 2 it draws the
    same as then. `part` distinguishes the candidates of one seed when a schedule is shrunk.
    """

    version: Literal[3] = Field(default=3, alias="schema", serialization_alias="schema")
    seed: int
    part: int | None = None
    families: tuple[str, ...]
    duration_seconds: float = Field(gt=0, le=86_400, allow_inf_nan=False)
    workers: int = Field(ge=1)
    starts: tuple[PlannedStart, ...]
    faults: tuple[Planned, ...]

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, fields: Any) -> Any:
        """A file of schema 2, which lacks nothing, or of schema 1, which named workflows by their
        input, such as `videos=2`: `Target.former_specs` maps these to specs.
        """
        if isinstance(fields, dict) and fields.get("schema") == 2:
            return {**fields, "schema": 3}
        if not isinstance(fields, dict) or fields.get("schema") != 1:
            return fields
        orders = fields.get("orders")
        if not isinstance(orders, list) or not all(isinstance(each, dict) for each in orders):
            return fields
        known = {name: value for name, value in fields.items() if name != "orders"}
        return {**known, "schema": 3, "starts": [_start(order) for order in orders]}

    @property
    def name(self) -> str:
        """The name of its case."""
        return f"seed_{self.seed}" if self.part is None else f"seed_{self.seed}_{self.part}"

    @property
    def is_on_wire(self) -> bool:
        """Whether a fault waits for a call of a worker."""
        return any(isinstance(planned.fault, AtBoundary) for planned in self.faults)

    def write(self, folder: Path) -> None:
        """Save it in a case's folder."""
        text = self.model_dump_json(by_alias=True, indent=1)
        write_file(folder / FILE, f"{text}\n")


def _start(order: dict[str, Any]) -> dict[str, Any]:
    asked = [f"{k}={json.dumps(v)}" for k, v in sorted(order.items()) if k not in _OF_A_START]
    kept = {name: order[name] for name in _OF_A_START if name in order}
    return {**kept, "spec": ",".join(asked)}


def read_schedule(file: Path) -> Schedule:
    """A schedule that was saved. Raises ScheduleError."""
    try:
        return Schedule.model_validate_json(read_file(file))
    except OSError as error:
        raise ScheduleError(f"the schedule {file} cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ScheduleError(f"{file} is not a schedule: {where}: {first['msg']}.") from None


def schedules_of(run: Path) -> Sequence[Schedule]:
    """The schedules that a run has carried out. Raises ScheduleError where it has none."""
    if run.is_file():
        return (read_schedule(run),)
    files = sorted(run.glob(f"*/*/{FILE}"))
    if not files:
        raise ScheduleError(
            f"{run} has no {FILE}: name the folder of a run that was made with --chaos-seed, "
            "or the file itself."
        )
    return tuple(read_schedule(file) for file in files)


def require_no_commands(schedules: Sequence[Schedule]) -> None:
    """Raise ScheduleError where one would execute a command: a file may be a stranger's. A project
    executes what its own code names, also by a seed of a family of its own.
    """
    for schedule in schedules:
        for planned in schedule.faults:
            if isinstance(planned.fault, CommandFault):
                raise ScheduleError(
                    f"the schedule {schedule.name} would execute "
                    f"`{plain(shown(planned.fault.to_inject))}`: a schedule's file executes no "
                    "commands; write a scenario that names it, or draw its seed again."
                )


def spec_of(start: PlannedStart, target: Target) -> WorkflowSpec:
    """The spec of a workflow. Raises ScheduleError if the target does not know it."""
    make = target.specs.get(target.former_specs.get(start.spec, start.spec))
    if make is None:
        known = ", ".join(target.specs) or "none"
        raise ScheduleError(
            f"the schedule starts {start.workflow_id} as {start.spec!r}, and the target's specs "
            f"are {known}: replay it in the project that made the run."
        )
    return make(start.workflow_id)


def load_of(schedule: Schedule, target: Target) -> tuple[WorkflowSpec, ...]:
    """All of them, in the order in which they start. Raises ScheduleError."""
    return tuple(spec_of(start, target) for start in schedule.starts)
