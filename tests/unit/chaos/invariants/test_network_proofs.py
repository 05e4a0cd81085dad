"""On journals of real proxies, each from a run in which one toxic was put on one link."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs import network_was_hit
from chaos.invariants.verdict import Verdict
from chaos.network.journal import PutOn, read_network_journal

JOURNALS = Path(__file__).parents[3] / "data" / "network"
LINK = "worker-1>server"
TOXICS = sorted(file.stem for file in JOURNALS.glob("*.jsonl"))

Line = Mapping[str, Any]


def _evidence(
    concurrency: Evidence,
    folder: Path,
    toxic: str,
    keep: Callable[[Line], bool] = lambda _: True,
    announced_seconds: float = -0.1,
) -> Evidence:
    """A case whose link had that toxic, without the records that are not kept."""
    source = JOURNALS / f"{toxic}.jsonl"
    lines = [line for line in source.read_text().splitlines() if keep(json.loads(line))]
    (folder / "network").mkdir()
    (folder / "network" / "worker-1-to-server.jsonl").write_text("\n".join([*lines, ""]))
    put_on = next(r for r in read_network_journal(source) if isinstance(r, PutOn))
    fault = Entry(
        at=put_on.at + timedelta(seconds=announced_seconds),
        event=Event.FAULT,
        kind=toxic,
        target=LINK,
    )
    return replace(concurrency, folder=folder, journal=[*concurrency.journal, fault])


def test_there_is_a_real_journal_for_each_kind_of_effect() -> None:
    assert {"down", "reset_peer", "half_open", "black_hole", "latency", "bandwidth"} <= set(TOXICS)


@pytest.mark.parametrize("toxic", TOXICS)
def test_a_real_journal_proves_its_toxic(toxic: str, concurrency: Evidence, tmp_path: Path) -> None:
    evidence = _evidence(concurrency, tmp_path, toxic)

    assert network_was_hit(LINK, (toxic,)).examine(evidence).problems == ()


@pytest.mark.parametrize("toxic", TOXICS)
def test_a_toxic_without_an_effect_is_unknown(
    toxic: str, concurrency: Evidence, tmp_path: Path
) -> None:
    def is_no_effect(line: Line) -> bool:
        return line["event"] != "hit" and line.get("because") in {None, "client_closed"}

    evidence = _evidence(concurrency, tmp_path, toxic, is_no_effect)

    finding = network_was_hit(LINK, (toxic,)).examine(evidence)

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems == (f"{toxic} was on {LINK}, and hit no connection",)


def test_an_effect_after_the_toxic_was_taken_off_is_none(
    concurrency: Evidence, tmp_path: Path
) -> None:
    """Such as a hit that is another toxic's, of the same name and later."""
    evidence = _evidence(concurrency, tmp_path, "latency")
    file = tmp_path / "network" / "worker-1-to-server.jsonl"
    lines = file.read_text().splitlines()
    hits = [line for line in lines if json.loads(line)["event"] == "hit"]
    file.write_text("\n".join([*(line for line in lines if line not in hits), *hits, ""]))

    assert network_was_hit(LINK, ("latency",)).examine(evidence).verdict is Verdict.UNKNOWN


def test_the_hit_of_another_toxic_is_none(concurrency: Evidence, tmp_path: Path) -> None:
    evidence = _evidence(concurrency, tmp_path, "latency")

    finding = network_was_hit(LINK, ("latency", "black_hole")).examine(evidence)

    assert finding.problems == (f"black_hole was not put on {LINK}",)
    file = tmp_path / "network" / "worker-1-to-server.jsonl"
    file.write_text(file.read_text().replace('"hit","name":"latency"', '"hit","name":"other"'))
    assert network_was_hit(LINK, ("latency",)).examine(evidence).verdict is Verdict.UNKNOWN


def test_a_cut_that_only_turns_away_who_comes_has_an_effect(
    concurrency: Evidence, tmp_path: Path
) -> None:
    evidence = _evidence(
        concurrency, tmp_path, "down", lambda line: line["event"] in {"started", "put_on"}
    )
    file = tmp_path / "network" / "worker-1-to-server.jsonl"
    unreachable = {"at": "2026-11-25T15:50:30Z", "event": "unreachable", "connection": 2}
    unreachable |= {"client": "127.0.0.1:1", "reason": "Connection refused"}
    file.write_text(file.read_text() + json.dumps(unreachable) + "\n")

    assert network_was_hit(LINK, ("down",)).examine(evidence).problems == ()


def test_a_toxic_that_was_put_on_before_its_fault_is_unknown(
    concurrency: Evidence, tmp_path: Path
) -> None:
    evidence = _evidence(concurrency, tmp_path, "black_hole", announced_seconds=+0.1)

    finding = network_was_hit(LINK, ("black_hole",)).examine(evidence)

    assert finding.problems == (f"black_hole was not put on {LINK}",)


def test_a_fault_that_nobody_announced_is_unknown(concurrency: Evidence, tmp_path: Path) -> None:
    evidence = _evidence(concurrency, tmp_path, "black_hole")
    silent = replace(evidence, journal=concurrency.journal)

    problems = network_was_hit(LINK, ("black_hole",)).examine(silent).problems

    assert problems == (f"black_hole at {LINK} was not announced",)


def test_a_link_without_a_journal_is_unknown(concurrency: Evidence) -> None:
    finding = network_was_hit(LINK, ("black_hole",)).examine(concurrency)

    assert finding.verdict is Verdict.UNKNOWN
    assert f"{LINK} has no journal" in finding.problems


def test_a_damaged_journal_is_unknown(concurrency: Evidence, tmp_path: Path) -> None:
    evidence = _evidence(concurrency, tmp_path, "black_hole")
    file = tmp_path / "network" / "worker-1-to-server.jsonl"
    file.write_text(file.read_text().replace("put_on", "put_off"))

    finding = network_was_hit(LINK, ("black_hole",)).examine(evidence)

    assert finding.verdict is Verdict.UNKNOWN
    assert "is damaged" in finding.problems[0]
