"""What a campaign tells on a terminal: a line for each verdict, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.invariants.verdict import Verdict
from chaos.search.campaign.model import Campaign, Ended, Judged, Progress, State


def lines_of(progress: Progress) -> Iterator[str]:
    """A line for each verdict in it, numbered, and one for each machine that was lost."""
    first = progress.seen - len(progress.recent) + 1
    for number, judged in enumerate(progress.recent, first):
        yield f"{number}{_of(progress)}  {_line(judged)}"
        for lost in judged.lost:
            machine = f"machine {lost.machine}" if lost.machine else "its machine"
            yield f"   {judged.name} ran again: {machine} was lost while {lost.stage}"


def status_lines(campaign: Campaign, progress: Progress) -> Iterator[str]:
    """How far it is, where its evidence goes, and which machines it has."""
    yield f"{campaign.campaign_id}: {_state(progress)}"
    yield (
        f"  {progress.seen}{_of(progress)} judged: {progress.passed} passed, "
        f"{progress.failed} failed, {progress.unknown} unknown; {progress.open} open"
    )
    if progress.minutes_left is not None and progress.state is not State.ENDED:
        yield f"  {progress.minutes_left:.1f} minutes left"
    yield f"  evidence: {campaign.evidence}/{campaign.campaign_id}"
    for machine in progress.machines:
        cases = _counted(machine.slots, "case")
        yield f"  {machine.name}: {cases} at once, {machine.judged} judged"


def end_lines(ended: Ended) -> Iterator[str]:
    """What it came to."""
    why = f", {ended.why}" if ended.why else ""
    yield (
        f"{ended.campaign_id} has ended{why}: {ended.judged} judged, {ended.passed} passed, "
        f"{ended.failed} failed, {ended.unknown} unknown"
    )
    if ended.run_again:
        yield f"{_counted(ended.run_again, 'case')} ran again, because a machine was lost"
    for never in ended.never:
        yield f"{never.name} has no verdict: {never.reason}"


def _line(judged: Judged) -> str:
    where = f" on {judged.machine}" if judged.machine else ""
    because = "" if judged.verdict is Verdict.PASSED else f" ({judged.reason})"
    return f"{judged.name}: {judged.verdict}{where}{because}"


def _state(progress: Progress) -> str:
    return f"{progress.state} ({progress.why_ended})" if progress.why_ended else progress.state


def _of(progress: Progress) -> str:
    return f"/{progress.total}" if progress.total is not None else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
