from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.invariants.verdict import Verdict
from chaos.plugin.github import annotation_lines
from tests.unit.chaos.hostile import HOSTILE, forged, unseen

ROOT = Path("/somewhere/project")


class Item:
    """As much of a test as is asked for."""

    path = ROOT / "tests" / "test_a,b.py"
    location = ("tests/test_a,b.py", 6, "test_it")
    config = SimpleNamespace(rootpath=ROOT)


ITEM: Any = Item()
ACTIONS = {"GITHUB_ACTIONS": "true"}


def _lines(
    verdict: Verdict, reason: str, environment: dict[str, str], item: Any = ITEM
) -> list[str]:
    result: Any = SimpleNamespace(name="worker_crash", verdict=verdict, reason=reason)
    tests = {item: SimpleNamespace(name="worker_crash")} if item else {}
    return list(annotation_lines(tests, [result], environment))  # type: ignore[arg-type] # as above


def test_a_failure_is_an_error_at_its_test_and_what_is_unknown_a_warning() -> None:
    place = "file=tests/test_a%2Cb.py,line=7"

    assert _lines(Verdict.FAILED, "billed twice: 100 %", ACTIONS) == [
        f"::error {place},title=worker_crash failed::worker_crash failed: billed twice: 100 %25"
    ]
    assert _lines(Verdict.UNKNOWN, "not hit", ACTIONS) == [
        f"::warning {place},title=worker_crash unknown::worker_crash unknown: not hit"
    ]
    assert _lines(Verdict.PASSED, "18 checks hold", ACTIONS) == []


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}], ids=str)
def test_elsewhere_there_is_nothing(environment: dict[str, str]) -> None:
    assert _lines(Verdict.FAILED, "billed twice", environment) == []


@pytest.mark.parametrize(
    ("workspace", "place"),
    [("/somewhere", "file=project/tests/test_a%2Cb.py,line=7,"), ("/elsewhere", "")],
)
def test_a_file_is_named_by_its_path_in_the_workspace(workspace: str, place: str) -> None:
    environment = {**ACTIONS, "GITHUB_WORKSPACE": workspace}

    (line,) = _lines(Verdict.FAILED, "why", environment)
    assert line.startswith(f"::error {place}title=")
    (line,) = _lines(Verdict.FAILED, "why", environment, item=None)
    assert line.startswith("::error title=")


def test_hostile_text_stays_on_its_line() -> None:
    (line,) = _lines(Verdict.FAILED, f"a\r\n::error::forged {HOSTILE}", ACTIONS)

    assert "\n" not in line
    assert unseen(line) == set()
    assert forged(line) == []
