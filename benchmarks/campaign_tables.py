"""The tables of a campaign that was measured: its speed, its costs, its verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.campaign_bed import CORES
from benchmarks.campaign_results import Kept, Recorded
from benchmarks.figures import Found, Quantity, Row, Table, seconds
from benchmarks.metrics import Counts

MOST_SHOWN = 8
"""Of the calls of the control server's API, by their names."""


@dataclass(frozen=True)
class Outcome:
    """One campaign: what it left, and what it took. `kills` are those of workers."""

    workers: int
    kept: Kept
    recorded: Recorded
    wrong: Sequence[str]
    is_limited: bool
    workers_cpu_seconds: float | None
    control_cpu_seconds: float | None = None
    counts: Counts | None = None
    kills: int = 0

    @property
    def cases(self) -> int:
        """Those with a verdict."""
        return len(self.kept.records)

    @property
    def wall_seconds(self) -> float:
        """From its start to its end, by the workflow; 0 if it has not ended."""
        ended = self.kept.ended
        return (ended.ended_at - ended.began_at).total_seconds() if ended else 0.0

    @property
    def per_minute(self) -> float:
        """Points a minute, with the planning that comes before them."""
        return 60 * self.cases / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def cases_per_minute(self) -> float:
        """Points a minute from the begin of the first one to the end of the last one."""
        records = self.kept.records.values()
        if not records:
            return 0.0
        began = min(record.began_at for record in records)
        span = max(record.ended_at for record in records) - began
        return 60 * self.cases / span.total_seconds()


def found(outcomes: Sequence[Outcome], *, at_most: int, s3: bool = False) -> Found:
    """The tables of these campaigns; the first is what the others are compared with."""
    first = outcomes[0]
    each_has = f"each worker has {CORES:g} of a core and at most {at_most} at once"
    title = f"{first.cases} crash points of orders; {each_has}"
    verdicts = tuple(_row(each, _verdicts(each, first)) for each in outcomes)
    tables = [
        Table(title=title, rows=tuple(_speed(each, first) for each in outcomes)),
        Table(title="A case", rows=tuple(_row(each, _cost(each)) for each in outcomes)),
        Table(title="Verdicts", rows=verdicts),
    ]
    counted = [each for each in outcomes if each.counts and each.cases]
    if counted:
        total: Counter[str] = sum((each.counts.calls for each in counted if each.counts), Counter())
        shown = [name for name, _ in total.most_common(MOST_SHOWN)]
        rows = tuple(_row(each, _calls(each, shown)) for each in counted)
        tables.append(Table(title="Calls of the control server's API, for a case", rows=rows))
    return Found(
        tables=tuple(tables),
        notes=tuple(_notes(outcomes, s3=s3)),
        problems=tuple(_problems(outcomes)),
    )


def _name(outcome: Outcome) -> str:
    plural = "s" if outcome.workers > 1 else ""
    killed = f", {outcome.kills} killed" if outcome.kills else ""
    return f"{outcome.workers} worker{plural}{killed}"


def _row(outcome: Outcome, cells: Mapping[str, Quantity]) -> Row:
    return Row(name=_name(outcome), cells=cells)


def _number(value: float, unit: str = "") -> Quantity:
    return Quantity(values=(round(value, 4),), unit=unit)


def _speed(outcome: Outcome, first: Outcome) -> Row:
    pace = _number(outcome.per_minute, "1/min")
    cells = {"wall": seconds(outcome.wall_seconds), "points a minute": pace}
    if first.per_minute:
        cells["÷ the first"] = pace.over(_number(first.per_minute, "1/min"))
    cells["while cases ran"] = _number(outcome.cases_per_minute, "1/min")
    if outcome.workers_cpu_seconds is not None and outcome.wall_seconds:
        used = outcome.workers_cpu_seconds / outcome.wall_seconds
        cells["cores in use"] = _number(used)
    return _row(outcome, cells)


def _cost(outcome: Outcome) -> Mapping[str, Quantity]:
    """What a case takes of each part."""
    if not outcome.cases:
        return {}
    each = outcome.cases
    cells = {}
    if outcome.workers_cpu_seconds is not None:
        cells["processors"] = seconds(outcome.workers_cpu_seconds / each)
    took = [record.judged.seconds for record in outcome.kept.records.values()]
    cells["takes"] = seconds(sum(took) / each)
    own = [record.cpu_seconds for record in outcome.kept.records.values()]
    cells["of these, its own"] = seconds(sum(own) / each)
    if outcome.control_cpu_seconds is not None:
        cells["the control server's"] = seconds(outcome.control_cpu_seconds / each)
    if outcome.counts is not None:
        cells["calls of its API"] = _number(outcome.counts.calls.total() / each)
        cells["calls of its database"] = _number(outcome.counts.database / each)
    cells["events of the workflow"] = _number(outcome.recorded.events / each)
    cells["history"] = _number(outcome.recorded.size_bytes / each / 1000, "KB")
    cells["kept"] = _number(outcome.kept.size_bytes / each / 1000, "KB")
    cells["files"] = _number(outcome.kept.files / each)
    return cells


def _calls(outcome: Outcome, shown: Sequence[str]) -> Mapping[str, Quantity]:
    calls = outcome.counts.calls if outcome.counts else Counter[str]()
    return {name: _number(calls[name] / outcome.cases) for name in shown}


def _verdicts(outcome: Outcome, first: Outcome) -> Mapping[str, Quantity]:
    counted = Counter(outcome.kept.verdicts.values())
    cells = {each: _number(counted[each]) for each in ("passed", "failed", "unknown")}
    cells["ran again"] = _number(len(outcome.kept.run_again))
    cells["runs of the workflow"] = _number(outcome.recorded.runs)
    if outcome is not first:
        cells["others than the first"] = _number(len(_differing(outcome, first)))
        both = outcome.kept.verdicts.keys() & first.kept.verdicts.keys()
        cells["points that both have"] = _number(len(both))
    return cells


def _differing(outcome: Outcome, first: Outcome) -> Sequence[str]:
    """The points that have another verdict in one than in the other. Each campaign makes a plan of
    its own, by a run of its own, in which a heartbeat may be elsewhere; so a few points are in one
    of the plans only.
    """
    one, other = outcome.kept.verdicts, first.kept.verdicts
    return sorted(name for name in one.keys() & other.keys() if one[name] != other[name])


def _problems(outcomes: Sequence[Outcome]) -> Sequence[str]:
    first, *others = outcomes
    return [
        *(f"{_name(each)}: {problem}" for each in outcomes for problem in each.wrong),
        *(
            f"{name}: {first.kept.verdicts[name]} with {_name(first)}, "
            f"{each.kept.verdicts[name]} with {_name(each)}."
            for each in others
            for name in _differing(each, first)
        ),
    ]


def _notes(outcomes: Sequence[Outcome], *, s3: bool) -> Sequence[str]:
    where = "an S3 server" if s3 else "a folder"
    notes = [f"The evidence is in {where}; everything runs on one machine."]
    if not all(each.is_limited for each in outcomes):
        notes.append(
            "This machine makes no CPU cgroups: the workers share all of it, so the ratio says "
            "nothing."
        )
    return notes
