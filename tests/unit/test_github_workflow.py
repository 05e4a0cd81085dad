"""The workflow for GitHub, read as data: what it names is there, and it asks for little."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.binaries.cache import cache_folder

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / ".github" / "workflows" / "fault-tolerance.yml"

Step = Mapping[str, Any]


@pytest.fixture(scope="module")
def workflow() -> Mapping[Any, Any]:
    content = yaml.safe_load(FILE.read_text())
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def steps(workflow: Mapping[Any, Any]) -> Sequence[Step]:
    (job,) = workflow["jobs"].values()
    found: Sequence[Step] = job["steps"]
    return found


def _using(steps: Sequence[Step], action: str) -> Step:
    (step,) = (s for s in steps if s.get("uses", "").startswith(f"{action}@"))
    return step


def test_it_runs_when_something_is_to_be_merged_was_merged_by_the_clock_and_by_hand(
    workflow: Mapping[Any, Any],
) -> None:
    triggers = workflow[True]  # YAML 1.1 reads `on` so

    assert set(triggers) == {"pull_request", "push", "schedule", "workflow_dispatch"}
    assert triggers["push"] == {"branches": ["main"]}


def test_it_may_read_the_code_and_knows_no_secret(workflow: Mapping[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets" not in FILE.read_text()


def test_a_hanging_run_ends_and_an_outdated_one_is_cancelled(workflow: Mapping[Any, Any]) -> None:
    (job,) = workflow["jobs"].values()

    assert job["timeout-minutes"] <= 60
    assert "pull_request" in workflow["concurrency"]["cancel-in-progress"]


def test_each_session_that_it_runs_is_one_of_nox(steps: Sequence[Step]) -> None:
    scripts = "\n".join(step.get("run", "") for step in steps)
    sessions = re.findall(r"noxfile\.py -s (\w+)", scripts)
    # Read, not run: without nox in this environment the file would start itself anew in another.
    noxfile = ast.parse((PROJECT / "noxfile.py").read_text())
    known = {
        node.name
        for node in noxfile.body
        if isinstance(node, ast.FunctionDef)
        and "nox.session" in map(ast.unparse, node.decorator_list)
    }

    assert sessions == ["fault_tolerance"]
    assert set(sessions) <= known


def test_no_expression_stands_in_a_script(steps: Sequence[Step]) -> None:
    for step in steps:
        assert "${{" not in step.get("run", "")
        shlex.split(step.get("run", ""))


def test_what_its_caches_depend_on_is_there(steps: Sequence[Step]) -> None:
    python, programs = _using(steps, "actions/setup-python"), _using(steps, "actions/cache")
    (hashed,) = re.findall(r"hashFiles\('(.+?)'\)", programs["with"]["key"])

    for path in (*python["with"]["cache-dependency-path"].split(), hashed):
        assert (PROJECT / path).is_file()


def test_the_cache_is_where_the_programs_are(
    steps: Sequence[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CHAOS_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)

    cached = Path(_using(steps, "actions/cache")["with"]["path"]).expanduser()
    assert cached == cache_folder()


def test_the_reports_are_kept_whatever_the_verdict(steps: Sequence[Step]) -> None:
    kept = _using(steps, "actions/upload-artifact")

    assert steps[-1] is kept
    assert kept["if"] == "always()"
    assert kept["with"]["path"].split() == ["reports/", "!reports/latest", "!reports/latest/**"]


def test_each_action_is_githubs_own_at_a_major_version(steps: Sequence[Step]) -> None:
    used = [step["uses"] for step in steps if "uses" in step]

    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@v\d+", action)] == []
