"""What a campaign has left is compared, and counted for each case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.campaign_results import Kept, Recorded, problems
from benchmarks.campaign_tables import Outcome, found
from benchmarks.metrics import Counts, counted
from chaos.invariants.verdict import Verdict
from chaos.search.campaign.model import (
    CaseKind,
    CaseRecord,
    CaseRef,
    Ended,
    Judged,
    Lost,
    Never,
    Stage,
    Versions,
)

BEGAN = datetime(2026, 12, 1, tzinfo=UTC)
METRICS = """\
# TYPE service_requests counter
service_requests{namespace="default",operation="PollActivityTaskQueue",service_name="frontend"} 12
service_requests{namespace="default",operation="PollActivityTaskQueue",service_name="matching"} 40
service_requests{namespace="default",operation="RespondActivityTaskCompleted",service_name="frontend"} 1.2e+06
persistence_requests{operation="UpdateShard",service_name="history"} 7
persistence_requests{operation="GetTasks",service_name="matching"} 3
persistence_latency_count{operation="GetTasks",service_name="matching"} 3
"""  # noqa: E501 - as the server writes it


def _record(name: str, verdict: Verdict = Verdict.PASSED, *, lost: bool = False) -> CaseRecord:
    before = (Lost(machine="machine-9", attempt=1, stage=Stage.RUNNING),) if lost else ()
    return CaseRecord(
        judged=Judged(name=name, verdict=verdict, lost=before, seconds=30.0),
        case=CaseRef(name=name, kind=CaseKind.POINT),
        versions=Versions(suite="1", sdk="1", server="1", python="3", target="t"),
        began_at=BEGAN + timedelta(seconds=10),
        ended_at=BEGAN + timedelta(seconds=40),
        cpu_seconds=2.0,
    )


def _kept(*records: CaseRecord, seconds: float = 60) -> Kept:
    counts = Counter(record.judged.verdict.value for record in records)
    ended = Ended(
        campaign_id="campaign-1",
        began_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=seconds),
        judged=len(records),
        passed=counts["passed"],
        failed=counts["failed"],
        unknown=counts["unknown"],
        run_again=sum(bool(record.judged.lost) for record in records),
    )
    by_name = {record.case.name: record for record in records}
    return Kept("campaign-1", by_name, ended, files=2 * len(records), size_bytes=8000)


def _recorded(*cases: str) -> Recorded:
    return Recorded(events=40, size_bytes=6000, begun=Counter(cases), judged=Counter(cases), runs=1)


KEPT = _kept(_record("a"), _record("b", lost=True))


def test_a_campaign_that_lost_nothing_has_no_problems() -> None:
    assert [*problems(KEPT, _recorded("a", "b"))] == []


@pytest.mark.parametrize(
    ("kept", "recorded", "says"),
    [
        (replace(KEPT, ended=None), _recorded("a", "b"), "no summary"),
        (KEPT, _recorded("a", "b", "c"), "c was begun and has no verdict"),
        (KEPT, _recorded("a"), "b has a verdict in the store, and the workflow never began it"),
        (KEPT, _recorded("a", "b", "b"), "b was judged 2 times"),
        (KEPT, replace(_recorded("a", "b"), judged=Counter("a")), "b was judged 0 times"),
        (replace(KEPT, records={"a": _record("a")}), _recorded("a"), "of 2 cases, the store has"),
        (replace(KEPT, records={n: _record(n) for n in "ab"}), _recorded("a", "b"), "1 cases ran"),
    ],
)
def test_what_is_lost_or_counted_wrongly_is_seen(kept: Kept, recorded: Recorded, says: str) -> None:
    assert any(says in problem for problem in problems(kept, recorded))


def test_cases_that_were_never_judged_are_a_problem() -> None:
    assert KEPT.ended
    never = replace(
        KEPT,
        ended=KEPT.ended.model_copy(update={"never": (Never(name="c", reason="it was stopped"),)}),
    )

    assert "c was never judged: it was stopped." in [*problems(never, _recorded("a", "b"))]


def _outcome(workers: int, kept: Kept, wrong: Sequence[str] = ()) -> Outcome:
    calls = Counter({"PollActivityTaskQueue": 8, "RespondActivityTaskCompleted": 2})
    return Outcome(
        workers=workers,
        kept=kept,
        recorded=_recorded(*kept.records),
        wrong=wrong,
        is_limited=True,
        workers_cpu_seconds=6.0,
        control_cpu_seconds=1.0,
        counts=Counts(calls, database=50),
    )


def test_speed_and_costs_are_those_of_a_case() -> None:
    slow, fast = _kept(_record("a"), _record("b")), _kept(_record("a"), _record("b"), seconds=20)

    measured = found([_outcome(1, slow), _outcome(3, fast)], at_most=6)
    speed, costs, verdicts, calls = measured.tables

    assert speed.row("1 worker").cells["points a minute"].median == 2
    assert speed.row("1 worker").cells["while cases ran"].median == 4
    assert speed.row("3 workers").cells["÷ the first"].median == 3
    assert {name: cell.median for name, cell in costs.row("1 worker").cells.items()} == {
        "processors": 3.0,
        "takes": 30.0,
        "of these, its own": 2.0,
        "the control server's": 0.5,
        "calls of its API": 5.0,
        "calls of its database": 25.0,
        "events of the workflow": 20.0,
        "history": 3.0,
        "kept": 4.0,
        "files": 2.0,
    }
    assert verdicts.row("3 workers").cells["others than the first"].median == 0
    assert verdicts.row("3 workers").cells["points that both have"].median == 2
    assert calls.row("1 worker").cells["RespondActivityTaskCompleted"].median == 1
    assert measured.problems == ()


def test_other_verdicts_and_what_is_wrong_are_problems() -> None:
    other = _kept(_record("a"), _record("b", Verdict.FAILED))

    measured = found([_outcome(1, KEPT, ["a was lost."]), _outcome(3, other)], at_most=6)

    assert measured.problems == (
        "1 worker: a was lost.",
        "b: passed with 1 worker, failed with 3 workers.",
    )
    assert measured.tables[2].row("3 workers").cells["others than the first"].median == 1


def test_calls_of_the_api_are_told_from_those_within_the_server() -> None:
    assert counted(METRICS) == Counts(
        Counter({"PollActivityTaskQueue": 12, "RespondActivityTaskCompleted": 1_200_000}), 10
    )
