"""The moments in a worker's life at which it can die, and what a worker leaves in a lane's folder.

A lane and the worker that it dooms are two processes. They meet in a folder: the lane arms a moment
there, and the worker says which moments it passes and, at the armed one, that it is about to die.
`doomed.py`, which may import nothing of ours, writes and reads the same by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from chaos.evidence.files import read_if_there, write_file

ARMED = "armed.json"


class Actor(StrEnum):
    """What a worker is busy with."""

    WORKER = "worker"
    TASK = "task"
    ACTIVITY = "activity"
    CALL = "call"


class Stage(StrEnum):
    """How far it is with that. `COMPLETING` is just before it reports, `COMPLETED` just after the
    server took it, `UNPOLLED` the same with no poll open; `LEAVING` is just before a request is
    sent, `REPLIED` with the reply in memory.
    """

    IDLE = "idle"
    BOOTING = "booting"
    POLLED = "polled"
    LEAVING = "leaving"
    REPLIED = "replied"
    COMPLETING = "completing"
    COMPLETED = "completed"
    UNPOLLED = "unpolled"


class Moment(BaseModel):
    """One of them: of the n-th workflow task, of the n-th activity, or of a call within that."""

    model_config = ConfigDict(frozen=True)

    actor: Actor
    stage: Stage
    number: int = 0
    call: int = 0

    @property
    def name(self) -> str:
        """Its own, and fit for a file."""
        if self.actor is Actor.WORKER:
            return f"worker-{self.stage}"
        if self.actor is Actor.CALL:
            return f"activity-{self.number}-call-{self.call}-{self.stage}"
        return f"{self.actor}-{self.number}-{self.stage}"


IDLE = Moment(actor=Actor.WORKER, stage=Stage.IDLE)
"""Before the workflow starts; such a worker is killed from outside."""

BOOTING = Moment(actor=Actor.WORKER, stage=Stage.BOOTING)
"""The workflow has started, and a worker is about to ask for its first task."""


def unpolled(moment: Moment) -> Moment:
    """The same moment where the server has no poll of the worker to hand the next task to."""
    return moment.model_copy(update={"stage": Stage.UNPOLLED})


class Armed(BaseModel):
    """The moment at which a worker is to die, of the workflow with this id."""

    model_config = ConfigDict(frozen=True)

    workflow_id: str
    moment: Moment


class Passed(Armed):
    """A moment that a process came to; `what` names the activity or the call."""

    pid: int
    at: datetime
    what: str = ""


def hit_file(folder: Path, workflow_id: str) -> Path:
    """Where a worker writes its last line. That it is there also keeps a successor alive."""
    return folder / f"{workflow_id}.hit.json"


def passed_file(folder: Path, workflow_id: str) -> Path:
    """Where all of a lane's workers write the moments that they pass, one a line."""
    return folder / f"{workflow_id}.passed.jsonl"


def arm(folder: Path, armed: Armed) -> None:
    """Doom the next worker that comes to this moment."""
    write_file(folder / ARMED, armed.model_dump_json())


def read_hit(folder: Path, workflow_id: str) -> Passed | None:
    """The last line of the worker that died; None while there is none."""
    text = read_if_there(hit_file(folder, workflow_id)) or b""
    return Passed.model_validate_json(text) if text.endswith(b"\n") else None


def read_passed(folder: Path, workflow_id: str) -> Sequence[Passed]:
    """All moments that were passed; a line that was cut off by a kill is left out."""
    lines = (read_if_there(passed_file(folder, workflow_id)) or b"").split(b"\n")[:-1]
    return [Passed.model_validate_json(line) for line in lines]
