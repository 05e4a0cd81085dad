"""On records made by hand: what shows that packets were hit, and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs import packets_were_hit
from chaos.invariants.verdict import Verdict
from chaos.network.behaviour import Stream
from chaos.network.packets import (
    FOLDER,
    Began,
    Ended,
    Fate,
    Harm,
    Harmed,
    PacketRecord,
    SentAgain,
)

LINK = "worker-1>server"
AT = datetime(2026, 12, 1, tzinfo=UTC)


def _harmed(fate: Fate, size_bytes: int = 100, overtaken_by: int = 0) -> Harmed:
    return Harmed(
        at=AT,
        link=LINK,
        stream=Stream.UPSTREAM,
        fate=fate,
        port=40000,
        sequence=1000,
        size_bytes=size_bytes,
        overtaken_by=overtaken_by,
    )


def _again(sequence: int = 1000, port: int = 40000, stream: Stream = Stream.UPSTREAM) -> SentAgain:
    return SentAgain(at=AT, link=LINK, stream=stream, port=port, sequence=sequence, size_bytes=100)


def _problems(
    evidence: Evidence, folder: Path, harm: Harm, *records: PacketRecord, began: float = 1.0
) -> Sequence[str]:
    """Of a case with these records of the time in which the packets were harmed."""
    whole = [
        Began(at=AT + timedelta(seconds=began), link=LINK, harm=harm),
        *records,
        Ended(at=AT, link=LINK, counts={}),
        _harmed(Fate.LOST),  # of another time
    ]
    (folder / FOLDER).mkdir(exist_ok=True)
    lines = [record.model_dump_json() for record in whole]
    (folder / FOLDER / "worker-1.jsonl").write_text("\n".join([*lines, ""]))
    fault = Entry(at=AT, event=Event.FAULT, kind=harm.name, target=LINK)
    case = replace(evidence, folder=folder, journal=[*evidence.journal, fault])
    finding = packets_were_hit(LINK).examine(case)
    assert finding.verdict is (Verdict.UNKNOWN if finding.problems else Verdict.PASSED)
    return finding.problems


@pytest.mark.parametrize(
    ("harm", "records"),
    [
        (Harm(lose=0.1), [_harmed(Fate.LOST), _again()]),
        (Harm(lose=1), [_harmed(Fate.LOST), _again(sequence=950)]),
        (Harm(corrupt=0.1), [_harmed(Fate.CORRUPTED), _again()]),
        (Harm(reorder=0.1), [_harmed(Fate.REORDERED, overtaken_by=1)]),
        (Harm(duplicate=0.1), [_harmed(Fate.DUPLICATED)]),
    ],
    ids=["lost", "all lost, in another cut", "corrupted", "reordered", "duplicated"],
)
def test_what_was_hit_with_what_follows_from_it_is_proven(
    harm: Harm, records: Sequence[PacketRecord], concurrency: Evidence, tmp_path: Path
) -> None:
    assert _problems(concurrency, tmp_path, harm, *records) == ()


@pytest.mark.parametrize(
    ("harm", "records"),
    [
        (Harm(lose=0.1), []),
        (Harm(lose=0.1), [_harmed(Fate.LOST, size_bytes=0), _again()]),
        (Harm(lose=0.1), [_again(), _harmed(Fate.CORRUPTED)]),
        (Harm(corrupt=0.1), [_harmed(Fate.LOST), _again()]),
        (Harm(reorder=0.1), [_harmed(Fate.REORDERED)]),
        (Harm(lose=0.1, reorder=0.1), [_harmed(Fate.LOST), _again()]),
    ],
    ids=["none", "no data", "another fate", "lost only", "overtook none", "one of two"],
)
def test_what_was_not_hit_is_unknown(
    harm: Harm, records: Sequence[PacketRecord], concurrency: Evidence, tmp_path: Path
) -> None:
    (problem,) = _problems(concurrency, tmp_path, harm, *records)

    assert problem.startswith(f"no packet with data on {LINK}")


@pytest.mark.parametrize(
    "other",
    [_again(sequence=1001), _again(port=40001), _again(stream=Stream.DOWNSTREAM)],
    ids=["later data", "another connection", "the other way"],
)
def test_a_loss_that_tcp_never_made_good_is_unknown(
    other: SentAgain, concurrency: Evidence, tmp_path: Path
) -> None:
    problems = _problems(concurrency, tmp_path, Harm(lose=0.1), _harmed(Fate.LOST), other)

    assert problems == (
        f"no packet with data on {LINK} was lost, and then sent again by TCP (1 lost)",
    )


def test_harm_that_nobody_announced_or_that_never_began_is_unknown(
    concurrency: Evidence, tmp_path: Path
) -> None:
    hit = (_harmed(Fate.LOST), _again())
    too_early = _problems(concurrency, tmp_path, Harm(lose=0.1), *hit, began=-1)
    assert too_early == (f"packets of {LINK} were to be harmed 1 times: 1 did",)

    silent = packets_were_hit("worker-2>server").examine(concurrency)
    assert silent.verdict is Verdict.UNKNOWN
    assert silent.problems == ("no packets of worker-2>server were to be harmed",)
