"""What a run took of the processors, by its journals."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.evidence.journal import Event, Journal
from chaos.experiment.cpu import Share, Used, cpu_seconds, journals_of, kind_of, shares


def _journal(folder: Path, *ended: tuple[str, int, float | None]) -> None:
    """Of processes that were started and have ended, those of a fleet only ended."""
    journal = Journal(folder / "journal.jsonl", lambda _: None)
    for target, pid, seconds in ended:
        if target != "fleet-1-worker":
            journal.add(Event.STARTED, target=target, pid=pid)
        journal.add(Event.PROGRESS, target=target)
        journal.add(Event.EXITED, target=target, pid=pid, cpu_seconds=seconds)
    journal.close()


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("worker-12", "worker"),
        ("fleet-1", "fleet"),
        ("fleet-1-worker", "fleet"),
        ("fake-api", "fake_api"),
        ("proxy-worker-1-to-server", "proxy"),
        ("temporal-server", "server"),
        ("temporal-history-2", "server"),
        ("temporal-worker", "server"),
        ("postgres", "server"),
        ("server-disk", "server"),
        ("payments", "other"),
    ],
)
def test_a_process_is_known_by_its_name(target: str, kind: str) -> None:
    assert kind_of(target) == kind


def test_processes_of_a_kind_are_counted_and_summed_over_all_journals(tmp_path: Path) -> None:
    _journal(tmp_path / "s" / "a", ("worker-1", 7, 1.5), ("worker-1", 8, 0.25))
    _journal(tmp_path / "servers", ("temporal-server", 7, 4.0), ("worker-1", 7, None))

    found = shares(*journals_of(tmp_path).values())

    assert found == {"worker": Share(3, 1.75), "server": Share(1, 4.0)}


def test_what_no_journal_tells_of_is_with_the_other_ones(tmp_path: Path) -> None:
    _journal(tmp_path, ("worker-1", 7, 1.5), ("payments", 9, 0.5))

    found = cpu_seconds(tmp_path, Used(10.0, 100.0), Used(14.0, 105.0))

    assert found == {"harness": 4.0, "other": 3.5, "worker": 1.5}


def test_a_fleets_worker_was_no_child_of_the_harness(tmp_path: Path) -> None:
    _journal(tmp_path, ("fleet-1", 7, 2.0), ("fleet-1-worker", 8, 1.0))

    found = cpu_seconds(tmp_path, Used(0.0, 0.0), Used(1.0, 2.5))

    assert found == {"fleet": 3.0, "harness": 1.0, "other": 0.5}


def test_what_this_process_used_grows() -> None:
    before = Used.now()
    assert sum(range(3_000_000)) > 0

    assert Used.now().own > before.own
