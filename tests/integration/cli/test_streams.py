"""Programs whose standard streams are closed, full, or left by their reader; and Python under -O.

A closed output is silence, a full one a sentence and 2, a reader that leaves the end of SIGPIPE.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.report.files import write_reports
from tests.unit.chaos.report.made_runs import a_run, a_scenario

PROJECT = Path(__file__).parents[3]
LEFT = 141
"""128 and SIGPIPE."""

COMMANDS = (
    *("chaos list", "chaos list --json", "chaos doctor"),
    *("chaos report RUN", "chaos report RUN --markdown", "chaos report RUN --trend"),
    *("chaos recheck RUN", "chaos clean --reports=REPORTS"),
    "chaos run worker_crash --collect-only -q",
)
"""All that end by themselves, and print."""

SOME = ("chaos list", "chaos doctor", "chaos recheck RUN", COMMANDS[-1])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "2026-01-02T03-04-05Z"
    folder.mkdir()
    write_reports(a_run(a_scenario()), folder, environment={})
    return folder


def _sh(
    command: str, redirection: str, run: Path, *, options: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """A program of the project in a shell; where it is piped, its own exit code counts."""
    words = shlex.split(command.replace("RUN", str(run)).replace("REPORTS", str(run.parent)))
    line = (
        f"{sys.executable} {options} -m {shlex.join(words)} {redirection}; exit ${{PIPESTATUS[0]}}"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GEMINI_API_KEY"} | more
    return subprocess.run(
        ["bash", "-c", line],  # noqa: S607 - any will do
        cwd=PROJECT,
        env={**environment, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "buffered"), [("chaos list", ""), *((command, "1") for command in COMMANDS)]
)
def test_a_full_output_is_one_sentence(command: str, run: Path, buffered: str) -> None:
    done = _sh(command, ">/dev/full", run, PYTHONUNBUFFERED=buffered)

    assert done.stderr == "standard output cannot be written to: No space left on device.\n"
    assert done.returncode == 2


@pytest.mark.parametrize("command", SOME)
def test_a_closed_output_is_silence_and_changes_no_exit_code(command: str, run: Path) -> None:
    done = _sh(command, ">&-", run)

    assert (done.stdout, done.stderr) == ("", "")
    assert done.returncode == _sh(command, ">/dev/null", run).returncode


@pytest.mark.parametrize("command", SOME)
def test_a_reader_that_leaves_is_told_of_nothing(command: str, run: Path) -> None:
    done = _sh(command, "| true", run)

    assert done.stderr == ""
    assert done.returncode == LEFT


@pytest.mark.parametrize("redirection", ["2>/dev/full", ">&- 2>&- <&-"])
@pytest.mark.parametrize(
    "command",
    [
        *("chaos clean --reports=/nowhere", "chaos shrink RUN", "workflows.worker"),
        *("workflows.fleet", "workflows.service --port=x"),
    ],
)
def test_a_sentence_that_nobody_can_read_changes_no_exit_code(
    command: str, redirection: str, run: Path
) -> None:
    done = _sh(command, redirection, run)

    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("program", ["worker", "fleet"])
def test_a_program_of_production_says_what_is_wrong_with_a_closed_output(
    program: str, run: Path
) -> None:
    done = _sh(f"workflows.{program}", ">&-", run)

    assert done.stderr == (
        f"{program}: GEMINI_API_KEY is not set; put it into the environment or into .env.\n"
    )
    assert done.returncode == 2


def test_no_file_gets_the_number_of_a_stream_that_was_closed(tmp_path: Path, run: Path) -> None:
    """Else what is printed would stand in it."""
    for command in ("chaos report RUN", "chaos recheck RUN --write"):
        _sh(command, ">&- 2>&- <&-", run)

    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert (run / "recheck.json").read_text().startswith("{")
    del tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "chaos run worker_crash -q -p no:cacheprovider tests/chaos",
        "pytest -m chaos -q -p no:cacheprovider -k worker_crash tests/chaos",
        "chaos recheck RUN",
    ],
)
def test_no_verdict_is_given_where_asserts_are_left_out(command: str, run: Path) -> None:
    done = _sh(command, "", run, options="-O")

    assert "Python runs with -O, or PYTHONOPTIMIZE is set" in done.stderr
    assert done.returncode in {2, 4}
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        *(("chaos list", 0), ("chaos report RUN", 0), ("chaos clean --reports=REPORTS", 0)),
        *(("workflows.worker", 2), ("workflows.fleet", 2), ("workflows.service --port=x", 2)),
        *(("chaos explore --help", 0), ("chaos shrink RUN", 2)),
    ],
)
def test_all_else_works_where_asserts_are_left_out(command: str, code: int, run: Path) -> None:
    done = _sh(command, "", run, options="-O")

    assert done.returncode == code
    assert "Traceback" not in done.stderr
