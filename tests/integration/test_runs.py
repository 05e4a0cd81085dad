"""Whole runs of pytest in a process of their own, ended in every way a run can end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.process.programs import (
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    find_program,
    find_temporal_cli,
)
from chaos.process.reaper import tagged_processes
from chaos.process.run_lock import is_held
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.schemas import violations

PROJECT = Path(__file__).parents[2]
CANARY = "AIzaThisIsTheUsersOwnPaidKeyAndMustNotBeSeen"


@pytest.fixture(scope="module")
def temporal_cli() -> Path:
    """Found once, so that no run of this module has to build it."""
    return find_temporal_cli(None, announce=print).path


class Run:
    """A run of pytest on the scenarios, its output and everything that it started."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.reports = folder / "reports"
        self._output = folder / "output.txt"
        command = [sys.executable, "-m", "pytest", "-m", "chaos", "-p", "no:cacheprovider"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "tests/chaos", f"--reports={self.reports}", *arguments],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def started(self) -> list[psutil.Process]:
        """Every living process that carries the run's mark."""
        prefix = f"chaos-run-{self.process.pid}-"
        return [p for p, mark in tagged_processes() if Path(mark).name.startswith(prefix)]

    def scratch(self) -> list[Path]:
        """The run's temporary folders."""
        return list(Path(tempfile.gettempdir()).glob(f"chaos-run-{self.process.pid}-*"))

    def until(
        self, condition: Callable[[], object], what: str, deadline_seconds: float = 40
    ) -> None:
        end = time.monotonic() + deadline_seconds
        while not condition():
            assert time.monotonic() < end, f"{what}\n{self.output}"
            time.sleep(0.05)

    def end(self) -> int:
        return self.process.wait(100)


@pytest.fixture
def start(tmp_path: Path, temporal_cli: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start_run(*arguments: str, **environment: str) -> Run:
        runs.append(Run(tmp_path, *arguments, **{"TEMPORAL_CLI": str(temporal_cli), **environment}))
        return runs[-1]

    yield start_run
    for run in runs:
        run.process.kill()
        run.process.wait()


def _ports(processes: list[psutil.Process]) -> set[int]:
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # some of them come and go
            connections = process.net_connections(kind="tcp")
            found |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return found


def _listening() -> set[int]:
    connections = psutil.net_connections(kind="tcp")
    return {c.laddr.port for c in connections if c.laddr and c.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module")
def postgres() -> None:
    """A PostgreSQL server can be started here."""
    try:
        PostgresPrograms.find()
    except PostgresNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cluster_programs(request: pytest.FixtureRequest) -> None:
    """All that the topology postgres needs is here."""
    request.getfixturevalue("postgres")
    for program in (TEMPORAL_SERVER, TEMPORAL_SQL_TOOL):
        find_program(program, None, announce=print)


def _shared_memory(made_by: list[psutil.Process]) -> list[str]:
    """What a PostgreSQL that is killed leaves in the kernel, unless somebody removes it."""
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [line for line in lines if int(line.split()[4]) in {p.pid for p in made_by}]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("ending", "topology"),
    [
        (signal.SIGKILL, "dev"),
        pytest.param(signal.SIGINT, "dev", marks=pytest.mark.nightly),
        pytest.param(signal.SIGKILL, "postgres", marks=pytest.mark.nightly),
        pytest.param(signal.SIGTERM, "postgres", marks=pytest.mark.nightly),
    ],
)
def test_a_run_that_is_broken_off_leaves_nothing(
    ending: signal.Signals,
    topology: str,
    start: Callable[..., Run],
    request: pytest.FixtureRequest,
) -> None:
    if topology == "postgres":
        request.getfixturevalue("cluster_programs")
    run = start("-k", "worker_crash", f"--topology={topology}")
    run.until(lambda: "SIGKILL to worker-1" in run.output, "the first fault")
    run.until(lambda: len(run.started()) >= 3, "server, fake API and a worker")
    started = run.started()
    assert bool(_shared_memory(started)) is (topology == "postgres")
    ports = _ports(run.started())
    assert ports
    assert run.scratch()
    (folder,) = [path for path in run.reports.iterdir() if not path.is_symlink()]
    assert is_held(folder)

    run.process.send_signal(ending)
    run.end()

    assert not is_held(folder)
    run.until(lambda: not run.started(), "no process is left")
    run.until(lambda: not run.scratch(), "no temporary folder is left")
    run.until(lambda: not _shared_memory(started), "no shared memory is left")
    assert not ports & _listening()


def _said(run: Run, words: str) -> bool:
    return words in run.output


def _cgroups(run: Run) -> list[Path]:
    return [
        folder
        for root in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))
        for folder in root.glob(f"chaos-run-{run.process.pid}-*")
    ]


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_a_run_broken_off_in_the_midst_of_its_faults_leaves_nothing(
    ending: signal.Signals, start: Callable[..., Run]
) -> None:
    """With cut lines, a full disk, a server that sleeps, and a memory limit in force."""
    run = start("-k", "network_api or disk_full or out_of_memory or server_pause")
    # The order differs; what is awaited is that each of these has been there, or still is.
    for words in ("may take", "bytes left", "SIGSTOP to temporal-server", "down at"):
        run.until(partial(_said, run, words), words, deadline_seconds=150)  # of eleven stacks
    ports = _ports(run.started())
    assert ports

    run.process.send_signal(ending)
    run.end()

    run.until(lambda: not run.started(), "no process is left")
    run.until(lambda: not run.scratch(), "no temporary folder is left")
    run.until(lambda: not _cgroups(run), "no memory limit is left")
    assert not ports & _listening()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, temporal_cli: Path) -> Run:
    """A run that has passed, by a user whose environment is full of keys and addresses."""
    run = Run(
        tmp_path_factory.mktemp("finished"),
        *("-k", "concurrency", "--workflows=2"),
        TEMPORAL_CLI=str(temporal_cli),
        GEMINI_API_KEY=CANARY,
        GOOGLE_API_KEY=CANARY,
        TEMPORAL_API_KEY=CANARY,
        GOOGLE_GEMINI_BASE_URL="http://192.0.2.1",
        TEMPORAL_ADDRESS="192.0.2.1:7233",
        HTTPS_PROXY="http://192.0.2.1",
        HTTP_PROXY="http://192.0.2.1",
    )
    assert run.end() == 0, run.output
    return run


@pytest.mark.timeout(120)
def test_a_finished_run_leaves_its_results_and_nothing_else(finished: Run) -> None:
    assert finished.started() == []
    assert finished.scratch() == []
    folder = finished.reports / "latest"
    results = json.loads((folder / "results.json").read_text())
    assert results["schema"] == 1
    assert results["overall"] == {"passed": 1, "total": 1, "not_run": 0}
    assert (results["topology"], results["not_run"]) == ("dev", [])
    (scenario,) = results["scenarios"]
    assert scenario["cost_usd"] == scenario["ideal_cost_usd"] == "2.478"
    assert scenario["billed"] == {"image": 2, "video": 2}
    for workflow in scenario["workflows"]:
        assert (folder / workflow["history"]).is_file()
    assert "| 5. Concurrency |" in (folder / "results.md").read_text()
    suite = ET.parse(folder / "junit.xml").getroot()  # noqa: S314 - our own file
    assert [case.get("name") for case in suite.iter("testcase")] == ["concurrency"]
    assert finished.output.rstrip().splitlines()[-2] == "OVERALL: 1/1 tests passed"


@pytest.mark.timeout(120)
def test_what_a_run_leaves_is_as_the_published_schemas_say(finished: Run) -> None:
    found = violations((finished.reports / "latest").resolve())

    assert {Path(file).name for file in found} >= {
        *("results.json", "journal.jsonl", "specs.json", "bills.json", "paid_requests.json"),
        *("refusals.json", "billing.json", "timings.json"),
    }
    assert not any(found.values()), found


@pytest.mark.timeout(120)
def test_the_users_own_key_is_nowhere(finished: Run) -> None:
    files = [f.read_bytes() for f in finished.reports.rglob("*") if f.is_file()]

    assert len(files) > 5
    for content in (finished.output.encode(), *files):
        assert CANARY.encode() not in content


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        (
            {"PG_BIN": "/nowhere"},
            "initdb, postgres and psql are not in /nowhere; install PostgreSQL",
        ),
        (
            {"PATH": "/usr/bin:/bin"},
            "there is neither the Temporal server nor Go to build it; install Go",
        ),
    ],
    ids=["PostgreSQL", "Go"],
)
@pytest.mark.usefixtures("postgres")
def test_a_topology_that_is_not_installed_is_skipped_with_its_reason(
    lacking: dict[str, str], reason: str, tmp_path: Path, start: Callable[..., Run]
) -> None:
    if "PATH" in lacking and shutil.which("go", path=lacking["PATH"]):
        pytest.skip("Go is among the system's own programs")
    empty = {"CHAOS_CACHE_DIR": str(tmp_path / "cache"), "TEMPORAL_SERVER": ""}
    run = start("--topology=postgres", **empty, **lacking)

    assert run.end() == pytest.ExitCode.OK, run.output
    assert f"{len(all_scenarios())} skipped" in run.output
    assert run.output.count(f"the topology postgres cannot run here: {reason}") >= 1
    assert f"OVERALL: 0/0 tests passed, {len(all_scenarios())} not run" in run.output
    assert not list(run.reports.glob("*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--temporal-cli=/nowhere/temporal"], "--temporal-cli names /nowhere/temporal, which"),
        (["--temporal-cli=/bin/true"], "which is not the Temporal CLI"),
        (["--topology=mars"], "invalid choice: 'mars'"),
        (
            ["--topology=postgres", "--temporal-server=/bin/true"],
            "--temporal-server names /bin/true, which is not the Temporal server",
        ),
        (["--temporal-server=/bin/true"], "--temporal-server needs --topology postgres."),
        (["--workflows=0"], "must be a number from 1 to 1000"),
        (["--seed=x"], "must be a seed such as 7, or a range such as 1-10, not 'x'"),
        (["--faults=kill"], "--faults and --duration need --seed."),
        (["--seed=1", "--replay=/nowhere"], "choose one."),
        (["--guide", "--seed=1"], "--guide and --seed both take the place of the scenarios"),
        (["--replay=/nowhere"], "/nowhere has no schedule.json: name the folder of a run"),
        (["--worker-command=/nowhere"], "there is no program '/nowhere' that can be executed"),
        (["--reports=/dev/null/x"], "cannot be written to"),
    ],
)
def test_a_users_mistake_is_one_sentence(
    arguments: list[str], sentence: str, start: Callable[..., Run]
) -> None:
    run = start("-k", "concurrency", *arguments)

    assert run.end() == pytest.ExitCode.USAGE_ERROR
    assert sentence in run.output
    assert "Traceback" not in run.output
    assert not list(run.reports.glob("*"))
    assert run.started() == []
