"""The workflows for GitHub, read as data: what they name is there, and they ask for little."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.process.programs.cache import cache_folder

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".github" / "workflows"
FILES = sorted(FOLDER.iterdir())

Mapped = Mapping[Any, Any]
Step = Mapping[str, Any]


def _read(file: Path) -> Mapped:
    content = yaml.safe_load(file.read_text())
    assert isinstance(content, dict)
    return content


@pytest.fixture
def each_change() -> Mapped:
    return _read(FOLDER / "fault-tolerance.yml")


@pytest.fixture
def nightly() -> Mapped:
    return _read(FOLDER / "nightly.yml")


@pytest.fixture
def release() -> Mapped:
    return _read(FOLDER / "release.yml")


@pytest.fixture
def action() -> Mapped:
    """The one that other projects use."""
    return _read(PROJECT / ".github" / "actions" / "scenarios" / "action.yml")


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def workflow(request: pytest.FixtureRequest) -> Mapped:
    return _read(request.param)


def _steps(workflow: Mapped) -> Sequence[Step]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def _using(steps: Sequence[Step], action: str) -> Iterator[Step]:
    yield from (s for s in steps if s.get("uses", "").startswith(f"{action}@"))


def _sessions(workflow: Mapped) -> Sequence[str]:
    scripts = "\n".join(step.get("run", "") for step in _steps(workflow))
    calls = re.findall(r"noxfile\.py -s ((?:[a-z_]+ ?)+)", scripts)
    return [session for call in calls for session in call.split()]


def _nox_sessions() -> set[str]:
    # Read, not run: without nox in this environment the file would start itself again in another.
    noxfile = ast.parse((PROJECT / "noxfile.py").read_text())
    return {
        node.name
        for node in noxfile.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each).startswith("nox.session") for each in node.decorator_list)
    }


def test_each_change_is_tested_before_and_after_it_is_merged(each_change: Mapped) -> None:
    triggers = each_change[True]  # YAML 1.1 reads `on` so

    assert set(triggers) == {"pull_request", "push", "workflow_dispatch"}
    assert triggers["push"] == {"branches": ["main"]}


def test_the_long_ones_run_by_the_clock_and_by_hand(nightly: Mapped) -> None:
    assert set(nightly[True]) == {"schedule", "workflow_dispatch"}


def test_somebody_complains_when_the_long_ones_have_not_run(each_change: Mapped) -> None:
    (step,) = each_change["jobs"]["watchdog"]["steps"]
    (watched,) = set(re.findall(r"--workflow (\S+)", step["run"]))

    assert (FOLDER / watched).is_file()
    assert "exit 1" in step["run"]
    assert each_change["jobs"]["watchdog"]["permissions"] == {"actions": "read"}
    assert "'push'" in each_change["jobs"]["watchdog"]["if"]


def test_they_may_read_the_code_and_know_no_secret(workflow: Mapped) -> None:
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_secret_is_named(file: Path) -> None:
    assert "secrets" not in file.read_text()


def test_a_hanging_run_ends(workflow: Mapped) -> None:
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 150


def test_an_outdated_run_is_cancelled(each_change: Mapped) -> None:
    assert "pull_request" in each_change["concurrency"]["cancel-in-progress"]


def test_each_session_has_its_job(each_change: Mapped, nightly: Mapped, release: Mapped) -> None:
    assert _sessions(each_change) == ["lint", "typing", "docs", "tests", "fault_tolerance"]
    assert {"nightly", "explore", "bench"} <= set(_sessions(nightly))
    assert _sessions(release) == ["release"]
    run = {*_sessions(nightly), *_sessions(each_change), *_sessions(release)}
    assert run == _nox_sessions() - {"try_wheel"}, "which `release` runs"


def test_no_expression_stands_in_a_script(workflow: Mapped) -> None:
    for step in _steps(workflow):
        assert "${{" not in step.get("run", "")
        shlex.split(step.get("run", ""))


def test_what_its_caches_depend_on_is_there(workflow: Mapped) -> None:
    paths = [
        path
        for step in _using(_steps(workflow), "actions/setup-python")
        for path in step["with"]["cache-dependency-path"].split()
    ]
    for step in _using(_steps(workflow), "actions/cache"):
        paths += re.findall(r"hashFiles\('(.+?)'\)", step["with"]["key"])

    assert paths
    for path in paths:
        assert (PROJECT / path).is_file()


def test_the_cache_is_where_the_programs_are(
    nightly: Mapped, action: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CHAOS_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)

    for steps in (_steps(nightly), action["runs"]["steps"]):
        (step,) = _using(steps, "actions/cache")
        assert Path(step["with"]["path"]).expanduser() == cache_folder()


@pytest.mark.parametrize("name", ["each_change", "nightly"])
def test_the_reports_are_kept_whatever_the_verdict(
    name: str, request: pytest.FixtureRequest
) -> None:
    (kept,) = _using(_steps(request.getfixturevalue(name)), "actions/upload-artifact")

    assert kept["if"] == "always()"
    assert kept["with"]["path"].split() == ["reports/", "!reports/latest", "!reports/latest/**"]


def test_other_projects_keep_their_reports_whatever_the_verdict(action: Mapped) -> None:
    (kept,) = _using(action["runs"]["steps"], "actions/upload-artifact")

    assert kept["if"] == "always()"
    assert [line.rpartition("}}")[2] for line in kept["with"]["path"].splitlines()] == [
        "/reports/",
        "/reports/latest",
        "/reports/latest/**",
    ]


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ("", ["-m", "chaos"]),
        ("-k 'dies or hangs' --plain", ["-m", "chaos", "-k", "dies or hangs", "--plain"]),
        ("'$(id)'", ["-m", "chaos", "$(id)"]),
    ],
)
def test_the_action_takes_arguments_as_a_shell_would_and_runs_none_of_them(
    arguments: str, received: list[str], action: Mapped
) -> None:
    (step,) = (each for each in action["runs"]["steps"] if "run" in each)
    assert set(step["env"]) == {"COMMAND", "ARGUMENTS"}
    assert "${{" not in step["run"]
    command = f"{sys.executable} -c print(__import__('sys').argv[1:]) -m chaos"

    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", step["run"]],
        env={"PATH": os.environ["PATH"], "COMMAND": command, "ARGUMENTS": arguments},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ast.literal_eval(done.stdout) == received


def test_each_action_is_githubs_own_at_a_major_version(workflow: Mapped, action: Mapped) -> None:
    steps = [*_steps(workflow), *action["runs"]["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]

    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@v\d+", action)] == []
