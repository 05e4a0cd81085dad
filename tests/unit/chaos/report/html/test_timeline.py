from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery import recoveries
from chaos.report.html.timeline import timeline
from chaos.report.html.values import Row, Timeline
from tests.unit.chaos.report.html.runs import ended


def _timeline(evidence: Evidence) -> Timeline:
    recovered = {at: recovery.total for at, recovery in recoveries(evidence).items()}
    return timeline(ended(evidence), (), recovered)


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _kinds(row: Row) -> list[str]:
    return [mark.kind for mark in row.marks]


def _with(evidence: Evidence, *entries: Entry) -> Evidence:
    journal = sorted([*evidence.journal, *entries], key=lambda entry: entry.at)
    return replace(evidence, journal=journal)


def test_faults_last_until_they_are_over(worker_crash: Evidence) -> None:
    found = _timeline(worker_crash)
    recovered = [recovery.total for recovery in recoveries(worker_crash).values()]

    assert [fault.label for fault in found.faults] == ["kill worker-1", "kill worker-2"]
    first, second = found.faults
    assert first.end - first.start == pytest.approx(recovered[0], abs=0.001)
    healed = worker_crash.first_entry(Event.HEALED)
    assert healed
    assert second.end == (healed.at - worker_crash.journal[0].at).total_seconds()


def test_a_services_own_faults_last_as_long_as_it_refuses(retry_config: Evidence) -> None:
    (fault,) = _timeline(retry_config).faults
    refused = [refusal.at for refusal in retry_config.refusals]

    assert fault.end == (max(refused) - retry_config.journal[0].at).total_seconds()


def test_processes_start_live_and_are_killed(worker_crash: Evidence) -> None:
    found = _timeline(worker_crash)
    killed = _row(found.processes, "worker-1")

    assert [span.kind for span in killed.strands[0]] == ["starting", "up"]
    assert _kinds(killed) == ["ready", "kill", "exit"]
    assert killed.strands[0][-1].end < found.last
    assert _row(found.processes, "worker-3").strands[0][-1].end == found.last


def test_a_server_that_comes_back_is_one_row(server_restart: Evidence) -> None:
    server = _row(_timeline(server_restart).processes, "temporal-server")

    assert [span.kind for span in server.strands[0]] == ["starting", "up", "starting", "up"]
    assert _kinds(server) == ["ready", "kill", "exit", "start", "ready"]


def test_a_process_that_sleeps_is_there_and_stopped(worker_crash: Evidence) -> None:
    started = worker_crash.first_entry(Event.READY, target="worker-3")
    assert started
    naps = [
        started.model_copy(
            update={
                "event": Event.SIGNALED,
                "signal": name,
                "at": started.at + timedelta(seconds=n),
            }
        )
        for name, n in (("SIGSTOP", 1), ("SIGCONT", 3))
    ]

    row = _row(_timeline(_with(worker_crash, *naps)).processes, "worker-3")
    asleep = next(span for span in row.strands[0] if span.kind == "asleep")

    assert asleep.end - asleep.start == pytest.approx(2.0)
    assert _kinds(row) == ["ready", "signal", "signal"]


def test_a_service_has_a_row_only_if_it_refused(
    worker_crash: Evidence, retry_config: Evidence
) -> None:
    assert "api" not in [row.name for row in _timeline(worker_crash).processes]
    refusing = _row(_timeline(retry_config).processes, "api")
    assert _kinds(refusing).count("refusal") == len(retry_config.refusals) > 0


def test_a_proxy_has_a_row_only_if_it_died(worker_crash: Evidence) -> None:
    at = worker_crash.journal[0].at
    proxy = {"target": "proxy-worker-1-to-api", "pid": 9}
    started = Entry(at=at, event=Event.STARTED, **proxy)
    died = Entry(at=at + timedelta(seconds=1), event=Event.EXITED, exit_code=1, **proxy)

    def names(*entries: Entry) -> list[str]:
        return [row.name for row in _timeline(_with(worker_crash, *entries)).processes]

    assert "proxy-worker-1-to-api" not in names(started)
    assert "proxy-worker-1-to-api" in names(started, died)


def test_a_strand_has_its_attempts_and_waits_in_order(worker_crash: Evidence) -> None:
    (row,) = _timeline(worker_crash).workflows
    image = row.strands[1]

    assert [span.kind for span in image] == ["lost", "unnoticed", "wait", "generate_character"]
    assert all(before.end == after.start for before, after in pairwise(image))


def test_what_was_paid_is_marked_and_what_is_in_doubt(worker_crash: Evidence) -> None:
    (row,) = _timeline(worker_crash).workflows

    assert [(mark.kind, mark.amount_usd) for mark in row.marks] == [
        ("doubt", Decimal("0.039")),
        ("paid", Decimal("0.039")),
        ("paid", Decimal("1.20")),
    ]
    assert "its sender recorded no outcome" in row.marks[0].detail


def test_a_second_bill_that_nothing_explains_is_marked_as_such(worker_crash: Evidence) -> None:
    (row,) = _timeline(replace(worker_crash, paid_requests=())).workflows

    assert [mark.kind for mark in row.marks] == ["paid", "twice", "paid"]


def test_a_call_in_doubt_that_was_not_billed_is_marked_without_a_price(
    worker_crash: Evidence,
) -> None:
    (_, *others) = worker_crash.bills
    unbilled = replace(worker_crash, bills=others)

    (row,) = _timeline(unbilled).workflows

    assert len(row.marks) == len(others) + 1
    assert ("doubt", Decimal(0)) in [(mark.kind, mark.amount_usd) for mark in row.marks]


def test_a_workflow_without_a_history_is_lost_and_looked_at_first(control: Evidence) -> None:
    (row,) = _timeline(replace(control, workflows={})).workflows

    assert (row.status, row.strands, row.life) == ("lost", (), None)
    assert row.interest > 0


def test_the_journal_stands_in_words_once(worker_crash: Evidence) -> None:
    texts = [each.text for each in _timeline(worker_crash).happenings]

    assert "fault: kill at worker-1 (pid " in "\n".join(texts)
    assert "fault reverted: worker-2" in texts
    assert not [text for text in texts if "SIGKILL" in text]
    assert (
        len([text for text in texts if text.startswith("worker-1 (pid") and "ready" in text]) == 1
    )
    assert "" not in texts


def test_trouble_after_the_end_is_told(worker_crash: Evidence) -> None:
    late = worker_crash.journal[-1].at + timedelta(seconds=1)
    trouble = Entry(at=late, event=Event.TROUBLE, text="it broke")

    last = _timeline(_with(ended(worker_crash), trouble)).happenings[-1]

    assert (last.kind, last.text) == ("trouble", "trouble: it broke")


def test_without_a_journal_there_is_none(worker_crash: Evidence) -> None:
    with pytest.raises(ValueError, match="its journal is missing or empty"):
        timeline(replace(worker_crash, journal=()), (), {})
