from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants.proofs import was_down
from chaos.invariants.verdict import Verdict
from tests.unit.kept import kept

SERVER = "temporal-server"


@pytest.fixture
def evidence() -> Evidence:
    return kept("server_pause", "twice_in_a_row")


def test_real_evidence_proves_that_it_was_down(evidence: Evidence) -> None:
    finding = was_down(SERVER, evidence.specs[0].workflow_id).examine(evidence)

    assert finding.problems == ()


def test_a_process_that_did_not_die_was_not_down(evidence: Evidence) -> None:
    journal = [entry for entry in evidence.journal if entry.event is not Event.EXITED]
    changed = replace(evidence, journal=journal)
    finding = was_down(SERVER, evidence.specs[0].workflow_id).examine(changed)

    assert (finding.verdict, finding.problems) == (
        Verdict.UNKNOWN,
        (f"{SERVER} was not seen to die of SIGKILL",),
    )


def test_one_that_stays_away_is_unknown(evidence: Evidence) -> None:
    kills = [entry.at for entry in evidence.journal if entry.event is Event.EXITED]
    journal = [e for e in evidence.journal if e.event is not Event.READY or e.at < kills[0]]
    changed = replace(evidence, journal=journal)

    assert was_down(SERVER, evidence.specs[0].workflow_id).examine(changed).problems == (
        f"{SERVER} did not come back",
    )


def test_a_workflow_that_had_ended_by_then_shows_nothing(evidence: Evidence) -> None:
    day = timedelta(days=1)
    journal = [entry.model_copy(update={"at": entry.at + day}) for entry in evidence.journal]
    changed = replace(evidence, journal=journal)
    name = evidence.specs[0].workflow_id

    assert was_down(SERVER, name).examine(changed).problems == (
        f"{name} was not open while {SERVER} was down",
    )


def test_an_unknown_workflow_shows_nothing(evidence: Evidence) -> None:
    assert was_down(SERVER, "nobody").examine(evidence).verdict is Verdict.UNKNOWN
