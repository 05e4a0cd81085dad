"""Where things are in the store of a campaign, and what the workflow and its parts are called."""

from __future__ import annotations

import hashlib

WORKFLOW = "Campaign"

PLAN, CHOOSE, CASE, FINISH = "campaign_plan", "campaign_choose", "campaign_case", "campaign_finish"
"""The activities: `(Campaign) -> int`, `(Campaign, Turn) -> Batch`, `(Campaign, CaseRef) -> Judged`
and `(Campaign, Ended) -> None`. An error that may not be retried ends the campaign, or makes its
case unknown, with the error's message."""

NOT_BEGUN = "NotBegun"
"""The type of the error, not to be retried, of a case that had not begun when its campaign was
paused or ended: the workflow takes it back."""

PAUSE, RESUME, STOP, BUDGET = "pause", "resume", "stop", "budget"
"""The signals; `budget` carries the minutes from now on, or None."""

PROGRESS, STATE = "progress", "state"
"""The queries: `(number already seen) -> Progress` with what is new, and `() -> State`."""


def control_queue(queue: str, code: str) -> str:
    """For the workflow and its short activities: never behind cases that wait."""
    return f"{queue}-{code}"


def cases_queue(queue: str, code: str) -> str:
    """For the cases, and for the plan, which needs a stack as they do."""
    return f"{queue}-{code}-cases"


CAMPAIGN = "campaign.json"
"""What was asked: `Campaign`."""
THE_PLAN = "plan.json"
SUMMARY = "summary.json"


def turn(number: int) -> str:
    """The state of the search after a turn, and the batch that it gave."""
    return f"turns/{number:06}.json"


def schedule(case: str) -> str:
    """The schedule of a case that was drawn or shrunk."""
    return f"schedules/{case}.json"


def failure(broke: str) -> str:
    """The shortest known schedule of what broke so; `run --replay` takes it."""
    return f"failures/{hashlib.sha256(broke.encode()).hexdigest()[:12]}.json"


def progress(case: str, step: int) -> str:
    """What a step of a long search has found out, so that the next attempt goes on after it."""
    return f"progress/{case}/{step:04}.json"


def verdict(case: str) -> str:
    """The record of a case: `CaseRecord`."""
    return f"cases/{case}/verdict.json"


def bundle(case: str, sha256: str) -> str:
    """The evidence of a case."""
    return f"cases/{case}/{sha256}.tar.gz"


def undisturbed(sha256: str) -> str:
    """The evidence of the runs without a fault that a plan is made of."""
    return f"undisturbed/{sha256}.tar.gz"
