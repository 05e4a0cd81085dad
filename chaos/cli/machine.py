"""What of all that the suite needs, or can use, this machine has.

Installs nothing, opens no connection, and leaves nothing behind.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from chaos.environment import disk
from chaos.environment.memory import HIERARCHIES
from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.experiment.run import STACKS_AT_ONCE
from chaos.plugin.options import DEFAULT_BUDGET_USD
from chaos.process.programs import (
    TEMPORAL_CLI,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    BadBinaryError,
    Program,
    Source,
    find_installed,
    origin,
    way,
    why_not_installed,
)
from tests.chaos.video.live_api import LiveError, load_live_api
from tests.chaos.video.scenarios.catalogue import all_scenarios

GIB = 1 << 30

STACK_BYTES = GIB // 2
"""The memory of one stack, as `chaos.experiment.run.STACKS_AT_ONCE` counts it."""

RUN_BYTES = GIB // 4
"""Of disk, for a run of all scenarios, with room to spare: a stack on a dev server took 1 MB, and
what is kept of all of them 10 MB.
"""

BUILD_BYTES = 4 * GIB
"""Of disk, for a build from source, with what Go keeps of it."""

_POSTGRES = "--topology postgres"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


class State(StrEnum):
    """`missing`: scenarios cannot run without it. `optional`: only what is named beside it."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class Finding:
    """One thing. `found` is what there is of it; `how` says how to get it where that is needed."""

    state: State
    what: str
    needed_by: str
    found: str
    how: str = ""


def examine(folder: Path) -> Iterator[Finding]:
    """Look at everything, for one who would run the scenarios of the project in this folder."""
    yield _system()
    yield from _programs()
    yield _postgres()
    yield from _needs_of_scenarios()
    yield _memory_limit()
    yield _memory()
    yield _disk("scratch", Path(tempfile.gettempdir()))
    yield _disk("reports", folder)
    yield _chromium()
    yield _key(folder)


def _system() -> Finding:
    here = f"{platform.system()} {platform.release()}"
    if platform.system() == "Linux":
        return Finding(State.OK, "Linux", "everything", here)
    return Finding(State.MISSING, "Linux", "everything", f"this is {here}", "use Linux, or WSL 2")


def _programs() -> Iterator[Finding]:
    yield _program(TEMPORAL_CLI, "all scenarios, up", State.MISSING)
    yield _program(TEMPORAL_SERVER, _POSTGRES, State.OPTIONAL)
    yield _program(TEMPORAL_SQL_TOOL, _POSTGRES, State.OPTIONAL)
    yield _go()


def _program(program: Program, needed_by: str, without: State) -> Finding:
    def finding(state: State, found: str, how: str = "") -> Finding:
        return Finding(state, program.title, needed_by, found, how)

    try:
        found = find_installed(program)
    except BadBinaryError as error:
        return finding(without, "unusable", str(error))
    if found:
        here = f"{_short(found.path)} (server {found.server_version}), {origin(program, found)}"
        return finding(State.OK, here)
    reasons = why_not_installed(program)
    ways = [way(program, source) for source, reason in reasons.items() if reason is None]
    if ways:
        return finding(State.OK, f"not yet; the first run gets it by {', else by '.join(ways)}")
    return finding(without, "none", _how_to_get(program, reasons[Source.DOWNLOAD]))


def _how_to_get(program: Program, why_not_downloaded: str | None) -> str:
    download = f" Its download is {why_not_downloaded}." if program.is_in_sdk else ""
    return (
        f"install Go {program.needed_go} or newer, and the first run builds it (5 min, once); or "
        f"put {program.name} on PATH, or name its file by {program.variable}.{download}"
    )


def _go() -> Finding:
    reason = why_not_installed(TEMPORAL_SERVER)[Source.BUILD]
    builds = "to build these three"
    if reason is None:
        return Finding(State.OK, "Go", builds, _short(Path(shutil.which("go") or "go")))
    return Finding(State.OPTIONAL, "Go", builds, "none", f"{reason}; get it from https://go.dev/dl")


def _short(path: Path) -> str:
    """The path as users know it."""
    with suppress(RuntimeError, ValueError):  # nobody's home, or elsewhere
        return f"~/{path.relative_to(Path.home())}"
    return str(path)


def _postgres() -> Finding:
    try:
        found = PostgresPrograms.find()
    except PostgresNotFoundError as error:
        return Finding(State.OPTIONAL, "PostgreSQL", _POSTGRES, "none", str(error))
    return Finding(State.OK, "PostgreSQL", _POSTGRES, _short(found.folder))


def _needs_of_scenarios() -> Iterator[Finding]:
    """What cases say that they need; a reason counts once, for all that have it."""
    reasons: dict[str, list[str]] = {}
    for scenario in all_scenarios():
        for case in scenario.cases:
            named = reasons.setdefault(case.needs() or "", [])
            if scenario.name not in named:
                named.append(scenario.name)
    for reason, names in reasons.items():
        if reason and reason != disk.why_there_are_none():
            yield Finding(State.OPTIONAL, "this machine", ", ".join(names), "unfit", reason)
    yield _small_disk(
        [s.name for s in all_scenarios() if disk.why_there_are_none in {c.needs for c in s.cases}]
    )


def _small_disk(scenarios: Sequence[str]) -> Finding:
    reason = disk.why_there_are_none()
    needed_by = ", ".join(scenarios)
    if reason is None:
        return Finding(State.OK, "small disks", needed_by, "may be mounted")
    how = "packages util-linux and mount; root, or a system where users may have namespaces"
    return Finding(State.OPTIONAL, "small disks", needed_by, "none", f"{reason} ({how})")


def _memory_limit() -> Finding:
    """Without a cgroup the suite's own watcher does it: less real, and good enough."""
    by_kernel = any(_can_limit(hierarchy.root, hierarchy.limit) for hierarchy in HIERARCHIES)
    found = "by the kernel" if by_kernel else "by a watcher of the suite; as root by the kernel"
    return Finding(State.OK, "memory limits", "out_of_memory", found)


def _can_limit(root: Path, limit: str) -> bool:
    folder = root / f"chaos-doctor-{os.getpid()}"
    with suppress(OSError):
        folder.mkdir()
        try:
            return (folder / limit).exists()
        finally:
            folder.rmdir()
    return False


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    cases = min(STACKS_AT_ONCE, sum(len(s.cases) for s in all_scenarios()))
    most = int(free // STACK_BYTES)
    how = ""
    if most < cases:
        how = f"it is enough for about {most} cases at once: name few scenarios, or free some"
    state = State.OK if most >= cases else State.OPTIONAL if most else State.MISSING
    return Finding(state, "memory", "all scenarios", f"{_gib(free)} free", how)


def _disk(what: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    how = ""
    if free < RUN_BYTES:
        how = f"a run takes up to {_gib(RUN_BYTES)}: make room in {folder}"
    elif free < BUILD_BYTES:
        how = f"a build from source would take up to {_gib(BUILD_BYTES)}"
    state = State.MISSING if free < RUN_BYTES else State.OK
    return Finding(state, f"disk for {what}", "all scenarios", f"{_gib(free)} free", how)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"


def _chromium() -> Finding:
    needed_by = "the suite's own tests"
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found:
        return Finding(State.OK, "Chromium", needed_by, found)
    how = "on Debian, install the package chromium"
    return Finding(State.OPTIONAL, "Chromium", needed_by, "none", how)


def _key(folder: Path) -> Finding:
    try:
        load_live_api(DEFAULT_BUDGET_USD, folder)
    except LiveError as error:
        return Finding(State.OPTIONAL, "GEMINI_API_KEY", "--live", "none", str(error))
    return Finding(State.OK, "GEMINI_API_KEY", "--live", "set")
