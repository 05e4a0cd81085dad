"""Commands as processes: readers that leave, machines without anything, projects of others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

WATCHED = """
import os, sys

def watch(event, arguments):
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    connects = event in {"socket.connect", "socket.bind", "socket.getaddrinfo"}
    # A library that looks for the folder of temporary files tries whether it can write there.
    if connects or (writes and os.path.dirname(str(arguments[0])) != os.environ["TMPDIR"]):
        sys.stderr.write(f"WATCHED {event} {arguments}\\n")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
from chaos.__main__ import main
sys.exit(main(sys.argv[1:]))
"""

OTHERS = """
import pytest

class Scenario:
    def __init__(self, name):
        self.name = name

@pytest.mark.chaos
@pytest.mark.parametrize("scenario", [Scenario("order"), Scenario("order_twice")])
def test_scenario(scenario):
    assert scenario.name == "order"

def test_something_else():
    raise SystemExit("it is not marked")
"""

SETTINGS = "[pytest]\nmarkers =\n    chaos: a scenario\naddopts = -p no:cacheprovider\n"


def _chaos(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", *arguments],
        cwd=cwd,
        # Plugins that happen to be installed here are no part of what is tested.
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("command", "codes"), [("list", {141}), ("--help", {0, 141})])
def test_a_reader_that_leaves_is_no_failure_to_tell(command: str, codes: set[int]) -> None:
    """The code is that of SIGPIPE; argparse takes its help as read where nothing is buffered."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "chaos", command],
            cwd=PROJECT,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.stderr == ""
    assert done.returncode in codes


def test_on_a_machine_without_anything_the_doctor_says_what_is_missing(tmp_path: Path) -> None:
    """It has Python and the packages only, and may fetch nothing; and it stays as it is."""
    for name in ("home", "bin", "project", "tmp"):
        (tmp_path / name).mkdir()
    for program in ("ls", "cat", "uname"):
        found = shutil.which(program)
        assert found
        (tmp_path / "bin" / program).symlink_to(found)
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": str(tmp_path / "bin"),
        "PYTHONPATH": str(PROJECT),
        "PG_BIN": str(tmp_path / "bin"),
        "TMPDIR": str(tmp_path / "tmp"),
        "CHAOS_NO_DOWNLOAD": "1",
    }

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "doctor"],
        cwd=tmp_path / "project",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    table = done.stdout.partition("\n\n")[0].splitlines()
    states = {what: state for state, what, *_ in (re.split(" {2,}", line) for line in table)}
    assert states["Temporal CLI"] == "missing"
    for what in ("Temporal server", "Temporal SQL tool", "Go", "PostgreSQL", "targets"):
        assert states[what] == "optional", what
    assert done.stdout.splitlines()[-1].endswith("missing: Temporal CLI.")
    assert (done.returncode, done.stderr) == (1, "")
    assert not [*(tmp_path / "home").iterdir(), *(tmp_path / "tmp").iterdir()]


def test_the_watch_over_the_doctor_sees_what_is_written(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.replace("from chaos", "open('x', 'w')\nfrom chaos")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr.startswith("WATCHED open ('x',")


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """A project that this one knows nothing of."""
    (tmp_path / "test_orders.py").write_text(OTHERS)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    return tmp_path


def test_in_a_project_of_others_it_runs_what_is_marked(others: Path) -> None:
    done = _chaos("run", cwd=others)

    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 deselected" in done.stdout


def test_a_name_is_that_of_one_scenario_and_of_none_that_begins_with_it(others: Path) -> None:
    done = _chaos("run", "order", "-q", cwd=others)

    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 deselected" in done.stdout


def test_an_unknown_name_is_a_sentence_with_the_nearest(others: Path) -> None:
    done = _chaos("run", "ordr", cwd=others)

    assert done.returncode == 2
    assert "there is no scenario 'ordr'; did you mean order?" in done.stderr


def test_a_name_that_is_near_none_is_a_sentence_with_all(others: Path) -> None:
    done = _chaos("run", "zzz", cwd=others)

    assert done.returncode == 2
    assert "there is no scenario 'zzz'; there are order, order_twice." in done.stderr


def test_a_name_after_an_option_is_told_where_it_belongs(others: Path) -> None:
    done = _chaos("run", "-q", "order", cwd=others)

    assert done.returncode == 4
    assert "put its name before all options, as in run order -q" in done.stderr


def test_options_go_to_pytest_as_they_are(others: Path) -> None:
    done = _chaos("run", "--collect-only", "-q", "-k", "scenario1", cwd=others)

    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "test_orders.py::test_scenario[scenario1]"


def test_options_that_leave_nothing_are_told(others: Path) -> None:
    done = _chaos("run", "-k", "nothing", cwd=others)

    assert done.returncode == 5
    assert done.stderr == "No scenario matches these options: remove some, such as -k or -m.\n"


def test_where_nothing_is_marked_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    done = _chaos("run", cwd=tmp_path)

    assert done.returncode == 5
    assert done.stderr == (
        f"No test in {tmp_path} is marked chaos: change to the folder of a project that has "
        "scenarios, and run it there.\n"
    )


def test_there_is_nothing_to_shrink_where_no_run_is(tmp_path: Path) -> None:
    done = _chaos("shrink", str(tmp_path), cwd=PROJECT)

    assert done.returncode == 2
    assert "has no results.json" in done.stderr
    assert "Traceback" not in done.stderr
