"""A campaign as data: what is asked, its cases, and what each was found to be.

The workflow imports this module, so it imports nothing that touches files, networks or clocks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chaos.invariants.verdict import Verdict

QUEUE = "temporal-chaos"
"""The task queue, unless another is named. The version of the target is added to it, so that a
machine never gets a case of code that it does not have."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Explore(_Part):
    """A fault at each boundary of workflows of the target, judged by all invariants. Each point is
    hit `times` times.
    """

    kind: Literal["explore"] = "explore"
    specs: tuple[str, ...]
    action: str = "kill"
    sample: int | None = None
    seed: int = 0
    times: int = 1


class Probe(_Part):
    """A fault at each boundary of one workflow, compared with undisturbed runs."""

    kind: Literal["probe"] = "probe"
    spec: str
    at: tuple[str, ...] = ()
    actions: tuple[str, ...] = ("kill", "drop")
    sample: int | None = None
    patience_seconds: float = 90.0


ENDLESS_DURATION_SECONDS, ENDLESS_WORKFLOWS = 5.0, 2
"""Of an endless campaign, unless it is asked for more: the shorter a schedule is the more of them
run, and what breaks is led to by what they cover.
"""


class Seeds(_Part):
    """Schedules drawn at random, of each seed from `first` to `last`. Without a last one the
    campaign is endless: it draws what adds coverage, shrinks what fails, and ends with its minutes.
    """

    kind: Literal["seeds"] = "seeds"
    first: int = 1
    last: int | None = None
    families: tuple[str, ...] = ()
    duration_seconds: float = 60.0
    workflows: int = 30

    @property
    def is_endless(self) -> bool:
        """Whether it ends with its minutes only."""
        return self.last is None


class Scenarios(_Part):
    """The cases of scenarios of the project; without names of all."""

    kind: Literal["scenarios"] = "scenarios"
    names: tuple[str, ...] = ()


Work = Annotated[Explore | Probe | Seeds | Scenarios, Field(discriminator="kind")]


class Keep(StrEnum):
    """The cases whose evidence is kept; of the others the verdict alone is."""

    ALL = "all"
    FAILURES = "failures"


class Campaign(_Part):
    """What is asked: the input of the workflow. `target` is `MODULE:NAME`, empty for the first of
    the project; `code` is the version of the project, which every machine must have.
    `evidence` is where the evidence goes, an address as fsspec has them.
    """

    campaign_id: str
    target: str
    code: str
    evidence: str
    work: Work
    queue: str = QUEUE
    keep: Keep = Keep.ALL
    minutes: float | None = None


class CaseKind(StrEnum):
    """What a case is, and so how a machine carries it out."""

    POINT = "point"
    PROBED = "probed"
    SCHEDULE = "schedule"
    SCENARIO = "scenario"
    SHRINK = "shrink"


class CaseRef(_Part):
    """A case of a campaign. Its name is unique in it and valid for a file: it is the identity under
    which its verdict is written, once. What it consists of is in the store.
    """

    name: str
    kind: CaseKind
    about_seconds: float = 20.0


class Stage(StrEnum):
    """How far a case is, as its heartbeats say."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    CONVERGING = "converging"
    JUDGING = "judging"
    SAVING = "saving"


class Lost(_Part):
    """An earlier attempt of a case, whose machine was lost, and how far it was."""

    machine: str
    attempt: int
    stage: Stage


class Versions(_Part):
    """What a case ran with."""

    suite: str
    sdk: str
    server: str
    python: str
    target: str


class Judged(_Part):
    """What the workflow is told of a case: an activity's result. `broke` names what failed, the
    same for the same defect; `cells` and `shapes` are what it covered, for the search.
    """

    name: str
    verdict: Verdict
    reason: str = ""
    broke: str = ""
    machine: str = ""
    slots: int = 1
    attempt: int = 1
    lost: tuple[Lost, ...] = ()
    seconds: float = 0.0
    cells: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()


class CaseRecord(_Part):
    """`verdict.json` of a case: written last and once, when its evidence is complete.

    `bundle` is the file with its evidence, named by its hash; empty where the verdict alone was
    kept. `files` are the hashes of the files in it. `found` is the result as its kind has it, in
    JSON: the attempts of a crash point, a cell of a probe, a `CaseResult`, a shrunk schedule.
    `cpu_seconds` are those that its machine has used since its last verdict, with all that it runs:
    of one case they say little, their sum is what the cases cost.
    """

    judged: Judged
    case: CaseRef
    versions: Versions
    began_at: AwareDatetime
    ended_at: AwareDatetime
    cpu_seconds: float = 0.0
    bundle: str = ""
    files: dict[str, str] = {}
    found: str = ""


class Turn(_Part):
    """A question of the workflow: which cases are next? `number` counts the questions from 1;
    `judged` are those since the last one. At most `most` cases are wanted; none where the workflow
    only wants to tell what was judged.
    """

    number: int
    most: int
    judged: tuple[Judged, ...] = ()


class Batch(_Part):
    """The answer. `is_last`: there will be no more, whatever becomes of those that are open.
    Without a case and not the last: ask again when more was judged; with nothing open, it is over.
    """

    cases: tuple[CaseRef, ...] = ()
    is_last: bool = False
    total: int | None = None
    """All cases of the campaign, where that is known."""


class State(StrEnum):
    """What a campaign is doing."""

    PLANNING = "planning"
    RUNNING = "running"
    PAUSED = "paused"
    ENDING = "ending"
    ENDED = "ended"


class Machine(_Part):
    """A machine as the campaign knows it: by its last verdict."""

    name: str
    slots: int
    judged: int
    last_at: AwareDatetime


class Progress(_Part):
    """The answer to the query `progress`. `recent` are the last verdicts, the newest last; `seen`
    counts all. `minutes_left` is None without a budget.
    """

    state: State
    seen: int = 0
    total: int | None = None
    open: int = 0
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    machines: tuple[Machine, ...] = ()
    minutes_left: float | None = None
    why_ended: str = ""
    recent: tuple[Judged, ...] = ()


class Never(_Part):
    """A case that was chosen and has no verdict of a machine, and why."""

    name: str
    reason: str


class Ended(_Part):
    """The result of the workflow, and `summary.json` of the store. What it counts is what the
    workflow was told; where the store has a verdict of a case that is named in `never`, its machine
    wrote it and was not heard any more.
    """

    campaign_id: str
    began_at: AwareDatetime
    ended_at: AwareDatetime
    why: str = ""
    judged: int = 0
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    run_again: int = 0
    """Cases of which an attempt was lost with its machine."""
    never: tuple[Never, ...] = ()
    """The campaign ended before, or nobody could: these count as unknown as well."""
