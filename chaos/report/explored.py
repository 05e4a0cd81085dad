"""`explore.md` for people and `explore.json` for tools, from what is on record alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from chaos.evidence.files import write_file
from chaos.invariants.verdict import Verdict
from chaos.report.markdown import bullets, escaped, paragraph, table
from chaos.search.crash.points import Action
from chaos.search.explore.plan import Choice
from chaos.search.explore.state import NOT_REACHED, Attempt, Outcome, State

HEAD = ("Workflow", "Stop", "Hit", "Ended", "Billed ÷ ideal", "In doubt", "Recovery")


class Summary(BaseModel):
    """The totals. Points are the boundaries of the chosen stops; `seconds` is when anything ran."""

    model_config = ConfigDict(frozen=True)

    points: int
    points_hit: int
    stops: int
    stops_hit: int
    stops_not_reached: int
    passed: int
    failed: int
    unknown: int
    tries: int
    seconds: float
    points_a_minute: float
    billed_usd: Decimal
    ideal_usd: Decimal
    billed_once: int
    worst_recovery_seconds: float | None


class Row(BaseModel):
    """One stop, and the try that counts."""

    model_config = ConfigDict(frozen=True)

    workflow: str
    stop: str
    action: Action
    points: tuple[str, ...]
    hit: tuple[str, ...]
    is_reached: bool
    verdict: Verdict
    tries: int
    counts: Attempt | None


class Report(BaseModel):
    """`explore.json`."""

    model_config = ConfigDict(frozen=True)

    choice: Choice
    summary: Summary
    stops: tuple[Row, ...]


def report_of(state: State) -> Report | None:
    """What is known now; None before there is a plan."""
    if state.plan is None:
        return None
    outcomes = state.outcomes()
    rows = tuple(_row(outcome) for outcome in outcomes)
    return Report(choice=state.plan.choice, summary=_summary(outcomes), stops=rows)


def write_report(state: State) -> Report | None:
    """Write both files, each whole or not at all."""
    report = report_of(state)
    if report:
        write_file(state.folder / "explore.json", report.model_dump_json(indent=1) + "\n")
        write_file(state.folder / "explore.md", markdown(report, state))
    return report


def markdown(report: Report, state: State) -> str:
    """A row for each stop, what is wrong, and the totals."""
    rows = [[escaped(cell) for cell in cells(outcome)] for outcome in state.outcomes()]
    parts = [f"# {escaped(state.folder.name)}"]
    parts += ["\n".join(map(paragraph, total_lines(report.summary))), table(HEAD, rows)]
    if problems := problem_lines(state):
        parts.append(bullets([escaped(line) for line in problems]))
    return "\n\n".join(parts) + "\n"


def cells(outcome: Outcome) -> Sequence[str]:
    """A row of the table."""
    planned, last = outcome.planned, outcome.last
    what = ", ".join(map(str, planned.point.boundaries))
    if last is None:
        return (planned.spec, what, "not tried", "", "", "", "")
    return (
        planned.spec,
        what,
        hit_in_short(outcome),
        last.status,
        f"{last.billed_usd / last.ideal_usd:.2f}" if last.ideal_usd else "?",
        str(last.in_doubt),
        "-" if last.recovery_seconds is None else f"{last.recovery_seconds:.2f} s",
    )


def hit_in_short(outcome: Outcome) -> str:
    """Such as `2 of 2`, or what is wrong."""
    if not outcome.is_reached:
        return NOT_REACHED
    hit = f"{len(outcome.proven)} of {len(outcome.planned.point.boundaries)}"
    return hit if outcome.verdict is Verdict.PASSED else f"{hit}, {outcome.verdict.upper()}"


def total_lines(summary: Summary) -> Sequence[str]:
    """The figures of the whole."""
    worst = summary.worst_recovery_seconds
    hit = (
        f"{summary.points_hit} of {summary.points} points hit, at {summary.stops_hit} of "
        f"{summary.stops} stops: {summary.passed} passed, {summary.failed} failed, "
        f"{summary.unknown} unknown{_not_reached(summary)}."
    )
    paid = (
        f"Billed exactly once: {summary.billed_once} of {summary.stops_hit}; in all "
        f"${summary.billed_usd} of an ideal ${summary.ideal_usd}."
    )
    speed = (
        f"{summary.tries} tries in {summary.seconds:.0f} s, {summary.points_a_minute:.1f} points "
        f"a minute; worst recovery {'-' if worst is None else f'{worst:.2f} s'}."
    )
    return [hit, paid, speed]


def _not_reached(summary: Summary) -> str:
    count = summary.stops_not_reached
    return f", {count} of these {NOT_REACHED}" if count else ""


def problem_lines(state: State) -> Sequence[str]:
    """Why a stop is not passed."""
    return [
        f"{outcome.planned.name}: {outcome.verdict}, {_why(outcome)}"
        for outcome in state.outcomes()
        if outcome.verdict is not Verdict.PASSED and outcome.attempts
    ]


def _why(outcome: Outcome) -> str:
    if outcome.bad:
        return f"{outcome.bad.workflow_id}: {outcome.bad.reason}"
    return f"not proven to be hit: {', '.join(outcome.missing)}"


def _summary(outcomes: Sequence[Outcome]) -> Summary:
    tries = [each for outcome in outcomes for each in outcome.attempts]
    counts = [o.last for o in outcomes if o.last and o.last.proven]
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    hit = sum(len(outcome.proven) for outcome in outcomes)
    seconds = _busy_seconds(tries)
    recoveries = [each.recovery_seconds for each in counts if each.recovery_seconds is not None]
    return Summary(
        points=sum(len(outcome.planned.point.boundaries) for outcome in outcomes),
        points_hit=hit,
        stops=len(outcomes),
        stops_hit=len(counts),
        stops_not_reached=sum(bool(o.attempts) and not o.is_reached for o in outcomes),
        passed=verdicts[Verdict.PASSED],
        failed=verdicts[Verdict.FAILED],
        unknown=verdicts[Verdict.UNKNOWN],
        tries=len(tries),
        seconds=seconds,
        points_a_minute=60 * hit / seconds if seconds else 0.0,
        billed_usd=sum((each.billed_usd for each in counts), Decimal(0)),
        ideal_usd=sum((each.ideal_usd for each in counts), Decimal(0)),
        billed_once=sum(each.billed_usd == each.ideal_usd for each in counts),
        worst_recovery_seconds=max(recoveries, default=None),
    )


def _busy_seconds(tries: Sequence[Attempt]) -> float:
    """How long at least one try was under way, over all the times that the exploration went on."""
    seconds, end = 0.0, datetime.min.replace(tzinfo=UTC)
    for each in sorted(tries, key=lambda one: one.began_at):
        seconds += max(0.0, (each.ended_at - max(end, each.began_at)).total_seconds())
        end = max(end, each.ended_at)
    return seconds


def _row(outcome: Outcome) -> Row:
    planned = outcome.planned
    return Row(
        workflow=planned.spec,
        stop=planned.point.name,
        action=planned.action,
        points=tuple(map(str, planned.point.boundaries)),
        hit=tuple(outcome.proven),
        is_reached=outcome.is_reached,
        verdict=outcome.verdict,
        tries=len(outcome.attempts),
        counts=outcome.last,
    )
