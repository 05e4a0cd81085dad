"""A schedule as data: which workflows start when, and which faults come when and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaos.evidence.files import read_file, write_file
from chaos.faults import AnyFault, Family

FILE = "schedule.json"
"""Where a case's folder keeps its schedule."""


Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""What is longer than a day nobody waits for."""


class ScheduleError(Exception):
    """There is no schedule to be had. One sentence: what is wrong and what to do."""


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


class Order(_Part):
    """A workflow that starts at a time: a single, or a series of so many `videos`."""

    workflow_id: str
    videos: int | None = None
    at_seconds: Seconds


class Schedule(_Part):
    """All that happens in one experiment. It is resolved: running it draws nothing any more.

    `part` tells the candidates of one seed apart when a schedule is shrunk.
    """

    version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    seed: int
    part: int | None = None
    families: tuple[Family, ...]
    duration_seconds: float = Field(gt=0, le=86_400, allow_inf_nan=False)
    workers: int = Field(ge=1)
    orders: tuple[Order, ...]
    faults: tuple[Planned, ...]

    @property
    def name(self) -> str:
        """What its case is called."""
        return f"seed_{self.seed}" if self.part is None else f"seed_{self.seed}_{self.part}"

    def write(self, folder: Path) -> None:
        """Save it in a case's folder."""
        text = self.model_dump_json(by_alias=True, indent=1)
        write_file(folder / FILE, f"{text}\n")


def read_schedule(file: Path) -> Schedule:
    """A schedule that was saved. Raises ScheduleError."""
    try:
        return Schedule.model_validate_json(read_file(file))
    except OSError as error:
        raise ScheduleError(f"the schedule {file} cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ScheduleError(f"{file} is no schedule: {where}: {first['msg']}.") from None


def schedules_of(run: Path) -> Sequence[Schedule]:
    """The schedules that a run has carried out. Raises ScheduleError where it has none."""
    if run.is_file():
        return (read_schedule(run),)
    files = sorted(run.glob(f"*/*/{FILE}"))
    if not files:
        raise ScheduleError(
            f"{run} has no {FILE}: name the folder of a run that was made with --seed, "
            "or the file itself."
        )
    return tuple(read_schedule(file) for file in files)
