from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chaos.environment.memory import KERNEL
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.proofs import ran_out_of_memory
from chaos.invariants.verdict import Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = "fleet-1-worker"
PROOF = ran_out_of_memory(TARGET)

FAULT = Entry(at=AT, event=Event.FAULT, kind="out_of_memory", target=TARGET)
TOLD = Entry(
    at=AT + timedelta(seconds=2), event=Event.STAGE, kind=KERNEL, target=TARGET, pid=7, text="told"
)
GONE = Entry(at=AT + timedelta(seconds=1), event=Event.EXITED, target=TARGET, pid=7)


def _evidence(*journal: Entry) -> Evidence:
    return Evidence(Path("nowhere"), (), {}, journal, ())


def test_a_limit_that_struck_is_proven() -> None:
    assert PROOF.examine(_evidence(FAULT, GONE, TOLD)).problems == ()


def test_each_missing_part_makes_it_unknown() -> None:
    assert PROOF.examine(_evidence(GONE, TOLD)).problems == (
        f"the memory of {TARGET} was not limited",
    )
    assert PROOF.examine(_evidence(FAULT, GONE)).problems == (
        f"no OOM killer says that it ended {TARGET}",
    )
    finding = PROOF.examine(replace(_evidence(FAULT, TOLD)))
    assert finding.verdict is Verdict.UNKNOWN
    assert "was not seen to end" in finding.problems[0]
