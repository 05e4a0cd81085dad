from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.verdict import Verdict
from chaos.process.child import CANARY

KEY = f"{CANARY}0123456789abcdef"


def test_real_evidence_holds(worker_crash: Evidence) -> None:
    assert no_secret_is_kept(CANARY).examine(worker_crash).problems == ()


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_a_key_in_a_payload_fails(before: str, checkpoint: Evidence, tmp_path: Path) -> None:
    """A payload is base64, and the key may begin anywhere in it."""
    payload = base64.b64encode(f"{before}{KEY} and more".encode()).decode()
    (tmp_path / "history.json").write_text(json.dumps({"data": payload}))

    finding = no_secret_is_kept(CANARY).examine(replace(checkpoint, folder=tmp_path))

    assert finding.verdict is Verdict.FAILED


def test_a_key_in_a_log_fails_and_is_not_repeated(checkpoint: Evidence, tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(f"Illegal header value {KEY}")

    finding = no_secret_is_kept(CANARY).examine(replace(checkpoint, folder=tmp_path))

    assert finding.problems == ("worker.log contains an API key",)


def test_the_files_are_named_in_the_same_order_everywhere(
    checkpoint: Evidence, tmp_path: Path
) -> None:
    names = [f"{name}.log" for name in ("d", "b", "e", "a", "c")]
    for name in names:
        (tmp_path / name).write_text(KEY)

    finding = no_secret_is_kept(CANARY).examine(replace(checkpoint, folder=tmp_path))

    assert [problem.split()[0] for problem in finding.problems] == sorted(names)
