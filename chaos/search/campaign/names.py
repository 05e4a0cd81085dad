"""Where things are in the store of a campaign, and what the workflow and its parts are called."""

from __future__ import annotations

WORKFLOW = "Campaign"
PLAN, CHOOSE, CASE, FINISH = "campaign_plan", "campaign_choose", "campaign_case", "campaign_finish"
PAUSE, RESUME, STOP, BUDGET = "pause", "resume", "stop", "budget"
PROGRESS = "progress"


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


def verdict(case: str) -> str:
    """The record of a case: `CaseRecord`."""
    return f"cases/{case}/verdict.json"


def bundle(case: str, sha256: str) -> str:
    """The evidence of a case."""
    return f"cases/{case}/{sha256}.tar.gz"
