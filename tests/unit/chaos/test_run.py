"""What a case is judged by beyond its own checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.evidence import Evidence
from chaos.invariants import Invariant
from chaos.lab import Options
from chaos.run import RunContext, _with_the_users_secrets
from chaos.scenarios.catalogue import all_scenarios
from chaos.verdict import Verdict

CASE = all_scenarios()[0].cases[0]
CONTROL = next(c for s in all_scenarios() for c in s.cases if c.must_fail)
SECRETS = ("a-key-of-the-cloud", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC")


def _context(*secrets: str) -> RunContext:
    folder = Path("/nowhere")
    return RunContext(
        mark="mark",
        scratch=folder,
        folder=folder,
        temporal_cli=None,
        options=Options(),
        announce=lambda *_: None,
        secrets=secrets,
    )


def _added(*secrets: str) -> Invariant:
    strict = _with_the_users_secrets(CASE, _context(*secrets))
    (check,) = strict.invariants[len(CASE.invariants) :]
    return check


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_of_the_connection_in_any_file_fails_the_case(
    secret: str, tmp_path: Path, worker_crash: Evidence
) -> None:
    evidence = replace(worker_crash, folder=tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker-1.log").write_text("all is well")
    assert _added(*SECRETS).examine(evidence).verdict is Verdict.PASSED

    (tmp_path / "logs" / "worker-1.log").write_text(f"connecting with {secret}")
    assert _added(*SECRETS).examine(evidence).verdict is Verdict.FAILED


def test_where_there_is_no_secret_nothing_is_added() -> None:
    assert _with_the_users_secrets(CASE, _context()) is CASE
    assert _with_the_users_secrets(CONTROL, _context(*SECRETS)) is CONTROL
