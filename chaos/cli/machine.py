"""Checks which needs of the harness and a project this machine meets. Installs nothing, opens no
connection, and leaves nothing behind.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from chaos.environment import disk, packets
from chaos.environment.memory import HIERARCHIES
from chaos.environment.needs import Need, State
from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.experiment.catalogue import (
    CatalogueError,
    known_scenarios,
    project_of,
    required_targets,
)
from chaos.experiment.run import STACKS_AT_ONCE
from chaos.experiment.scenario import Scenario
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

GIB = 1 << 30

STACK_BYTES = GIB // 2
"""The memory of one stack, as `chaos.experiment.run.STACKS_AT_ONCE` counts it."""

RUN_BYTES = GIB // 4
"""Disk space for a run of all scenarios, with a margin: a stack on a dev server took 1 MB, and the
evidence of all of them 10 MB.
"""

BUILD_BYTES = 4 * GIB
"""Disk space for a build from source, with Go's caches."""

_POSTGRES = "--topology postgres"


def examine(folder: Path) -> Iterator[Need]:
    """Check everything that the scenarios of the project in this folder need."""
    yield _system()
    yield from _programs()
    yield _postgres()
    try:
        project = project_of(folder)
        targets = required_targets(project)
        scenarios = known_scenarios(targets)
    except CatalogueError as error:
        project, targets, scenarios = folder, (), ()
        yield Need(State.OPTIONAL, "targets", "list, up, recheck, explore", "none", str(error))
    yield from _needs_of_scenarios(scenarios)
    yield _memory_limit()
    yield _memory(scenarios)
    yield _disk("scratch", Path(tempfile.gettempdir()))
    yield _disk("reports", folder)
    for target in targets:
        yield from target.needs(project)


def _system() -> Need:
    here = f"{platform.system()} {platform.release()}"
    if platform.system() == "Linux":
        return Need(State.OK, "Linux", "everything", here)
    if platform.system() == "Darwin":
        needed_by = "small disks, the kernel's OOM killer, forked workers"
        why = "scenarios that need one of these are not run here"
        return Need(State.OPTIONAL, "Linux", needed_by, f"this is {here}", why)
    return Need(State.MISSING, "Linux", "everything", f"this is {here}", "use Linux, or WSL 2")


def _programs() -> Iterator[Need]:
    yield _program(TEMPORAL_CLI, "all scenarios, up", State.MISSING)
    yield _program(TEMPORAL_SERVER, _POSTGRES, State.OPTIONAL)
    yield _program(TEMPORAL_SQL_TOOL, _POSTGRES, State.OPTIONAL)
    yield _go()


def _program(program: Program, needed_by: str, without: State) -> Need:
    def finding(state: State, found: str, how: str = "") -> Need:
        return Need(state, program.title, needed_by, found, how)

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
        return finding(State.OK, f"not yet; the first run installs it by {', else by '.join(ways)}")
    return finding(without, "none", _how_to_get(program, reasons[Source.DOWNLOAD]))


def _how_to_get(program: Program, why_not_downloaded: str | None) -> str:
    download = f" Its download is {why_not_downloaded}." if program.is_in_sdk else ""
    return (
        f"install Go {program.needed_go} or newer, and the first run builds it (5 min, once); or "
        f"put {program.name} on PATH, or name its file by {program.variable}.{download}"
    )


def _go() -> Need:
    reason = why_not_installed(TEMPORAL_SERVER)[Source.BUILD]
    builds = "to build these three"
    if reason is None:
        return Need(State.OK, "Go", builds, _short(Path(shutil.which("go") or "go")))
    return Need(State.OPTIONAL, "Go", builds, "none", f"{reason}; get it from https://go.dev/dl")


def _short(path: Path) -> str:
    """The path as a user would write it."""
    with suppress(RuntimeError, ValueError):  # nobody's home, or elsewhere
        return f"~/{path.relative_to(Path.home())}"
    return str(path)


def _postgres() -> Need:
    try:
        found = PostgresPrograms.find()
    except PostgresNotFoundError as error:
        return Need(State.OPTIONAL, "PostgreSQL", _POSTGRES, "none", str(error))
    return Need(State.OK, "PostgreSQL", _POSTGRES, _short(found.folder))


def _needs_of_scenarios(scenarios: Sequence[Scenario]) -> Iterator[Need]:
    """The needs of cases; a reason counts once for all cases that have it."""
    reasons: dict[str, list[str]] = {}
    for scenario in scenarios:
        for case in scenario.cases:
            named = reasons.setdefault(case.needs() or "", [])
            if scenario.name not in named:
                named.append(scenario.name)
    for reason, names in reasons.items():
        if reason and reason not in {disk.why_there_are_none(), packets.why_no_packets()}:
            yield Need(State.OPTIONAL, "this machine", ", ".join(names), "unfit", reason)
    if on_disks := _that_need(disk.why_there_are_none, scenarios):
        yield _small_disk(on_disks)
    if on_packets := _that_need(packets.why_no_packets, scenarios):
        yield _packet_loss(on_packets)


def _that_need(needs: Callable[[], str | None], scenarios: Sequence[Scenario]) -> str:
    return ", ".join(s.name for s in scenarios if needs in {case.needs for case in s.cases})


def _packet_loss(needed_by: str) -> Need:
    reason = packets.why_no_packets()
    if reason is None:
        return Need(State.OK, "packet loss", needed_by, "in network namespaces, by TUN devices")
    how = "package util-linux, /dev/net/tun; root, or a system where users may have namespaces"
    return Need(State.OPTIONAL, "packet loss", needed_by, "none", f"{reason} ({how})")


def _small_disk(needed_by: str) -> Need:
    reason = disk.why_there_are_none()
    if reason is None:
        return Need(State.OK, "small disks", needed_by, "may be mounted")
    how = "packages util-linux and mount; root, or a system where users may have namespaces"
    return Need(State.OPTIONAL, "small disks", needed_by, "none", f"{reason} ({how})")


def _memory_limit() -> Need:
    """Without a cgroup the harness's own watcher does it: less realistic, and good enough."""
    by_kernel = any(_can_limit(hierarchy.root, hierarchy.limit) for hierarchy in HIERARCHIES)
    found = "by the kernel" if by_kernel else "by a watcher of ours; as root by the kernel"
    return Need(State.OK, "memory limits", "the fault out_of_memory", found)


def _can_limit(root: Path, limit: str) -> bool:
    folder = root / f"chaos-doctor-{os.getpid()}"
    with suppress(OSError):
        folder.mkdir()
        try:
            return (folder / limit).exists()
        finally:
            folder.rmdir()
    return False


def _memory(scenarios: Sequence[Scenario]) -> Need:
    free = psutil.virtual_memory().available
    cases = min(STACKS_AT_ONCE, sum(len(s.cases) for s in scenarios) or 1)
    most = int(free // STACK_BYTES)
    how = ""
    if most < cases:
        how = f"it is enough for about {most} cases at once: run fewer scenarios, or free some"
    state = State.OK if most >= cases else State.OPTIONAL if most else State.MISSING
    return Need(state, "memory", "all scenarios", f"{_gib(free)} free", how)


def _disk(what: str, folder: Path) -> Need:
    free = shutil.disk_usage(folder).free
    how = ""
    if free < RUN_BYTES:
        how = f"a run takes up to {_gib(RUN_BYTES)}: make room in {folder}"
    elif free < BUILD_BYTES:
        how = f"a build from source would take up to {_gib(BUILD_BYTES)}"
    state = State.MISSING if free < RUN_BYTES else State.OK
    return Need(state, f"disk for {what}", "all scenarios", f"{_gib(free)} free", how)


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"
