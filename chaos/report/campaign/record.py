"""The report of a campaign as data: `campaign.json`, `cases.jsonl` and `new.jsonl`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chaos.invariants.verdict import Verdict
from chaos.report.campaign.reading import Gap
from chaos.search.campaign.model import (
    Campaign,
    CaseKind,
    CaseRecord,
    Lost,
    Never,
    Seeds,
    Versions,
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Since(StrEnum):
    """What became of a failure since the last campaign. `GONE`: the same cases ran again, and
    passed. `NOT_SEEN`: it did not come up, and what showed it was not tried again.
    """

    NEW = "new"
    STILL = "still there"
    GONE = "gone"
    NOT_SEEN = "not seen again"
    FIRST = "first campaign"


class Broken(_Part):
    """A failure: what broke, in words that are the same for the same defect, and its cases. `file`
    is a schedule in the report's folder that shows it; `command` brings it back.
    """

    broke: str
    since: Since
    cases: tuple[str, ...]
    example: str = ""
    machines: tuple[str, ...] = ()
    file: str = ""
    command: str = ""


class Earlier(_Part):
    """A failure of the last campaign that this one has not shown."""

    broke: str
    since: Since
    cases: tuple[str, ...]


class Covered(_Part):
    """A cell that was covered, and by how many cases."""

    cell: str
    cases: int


class OfMachine(_Part):
    """A machine: what it judged, and how many attempts of cases were lost with it."""

    name: str
    slots: int
    judged: int
    lost: int
    cpu_seconds: float
    busy_seconds: float


class Again(_Part):
    """A case that ran again, as machines were lost while they ran it."""

    case: str
    judged_by: str
    attempt: int
    lost: tuple[Lost, ...]


class Ran(_Part):
    """Versions that cases ran with, and how many."""

    versions: Versions
    cases: int


class Totals(_Part):
    """`chosen` are all cases that a turn gave; `judged` those with a verdict in the store, of which
    the next three are the parts. `planned` is None where the campaign has no fixed number.

    `seconds` is when at least one case was under way, by the clocks of the machines.
    """

    chosen: int
    judged: int
    passed: int
    failed: int
    unknown: int
    never: int
    open: int
    planned: int | None
    ran_again: int
    second_verdicts: int
    seconds: float
    cases_a_minute: float
    case_seconds: float
    cpu_seconds: float
    cpu_seconds_a_case: float
    shapes: int
    store_bytes: int
    evidence_kept: int


class CampaignReport(_Part):
    """`campaign.json`. `verdict` is passed only if the campaign has ended, all chosen cases passed
    and nothing is missing. `evidence` is where it was read from; `verified`: each file of evidence
    was compared with its hash.
    """

    campaign: Campaign
    evidence: str
    verdict: Verdict
    why: str
    began_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    has_ended: bool
    end: str
    """Why it ended although there may have been more to do."""
    verified: bool
    totals: Totals
    broken: tuple[Broken, ...]
    unknown: tuple[Never, ...]
    """Of cases with a verdict that says so: the reason."""
    never: tuple[Never, ...]
    gaps: tuple[Gap, ...]
    since: str
    """The campaign that it is compared with; empty where there is none."""
    earlier: tuple[Earlier, ...]
    ran: tuple[Ran, ...]
    machines: tuple[OfMachine, ...]
    again: tuple[Again, ...]
    coverage: tuple[Covered, ...]

    @property
    def new(self) -> Iterator[Broken]:
        """The failures that the last campaign did not have; of a first campaign all."""
        return (each for each in self.broken if each.since in {Since.NEW, Since.FIRST})

    @property
    def owed(self) -> list[Never]:
        """Of the cases that were never judged those that count."""
        return owed(self.campaign, self.never, self.end)


def owed(campaign: Campaign, never: Sequence[Never], end: str) -> list[Never]:
    """All but those that an endless campaign had drawn and not begun when it ended: it has promised
    them to nobody.
    """
    is_endless = isinstance(campaign.work, Seeds) and campaign.work.is_endless
    return [each for each in never if not (is_endless and each.reason == end)]


class CaseLine(_Part):
    """A line of `cases.jsonl`: a case with a verdict, without what it found in full."""

    name: str
    kind: CaseKind
    verdict: Verdict
    reason: str
    broke: str
    machine: str
    attempt: int
    lost: tuple[Lost, ...]
    began_at: AwareDatetime
    ended_at: AwareDatetime
    seconds: float
    cpu_seconds: float
    cells: tuple[str, ...]
    shapes: tuple[str, ...]
    versions: Versions
    bundle: str

    @classmethod
    def of(cls, record: CaseRecord) -> CaseLine:
        """That of a case."""
        judged = record.judged
        return cls(
            kind=record.case.kind,
            began_at=record.began_at,
            ended_at=record.ended_at,
            cpu_seconds=record.cpu_seconds,
            versions=record.versions,
            bundle=record.bundle,
            **{name: getattr(judged, name) for name in _JUDGED},
        )


_JUDGED = (
    *("name", "verdict", "reason", "broke", "machine", "attempt", "lost", "seconds"),
    *("cells", "shapes"),
)
