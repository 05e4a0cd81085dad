"""The machine that the figures come from: what it is, how busy, and who uses its processors."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import psutil

from benchmarks.figures import Load, Machine

PACKAGES = ("temporalio", "google-genai", "dbos")


def describe(server_version: str) -> Machine:
    """What this machine is; `server_version` is that of the Temporal server in use."""
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        versions={
            "python": platform.python_version(),
            "temporal-server": server_version,
            **_installed(PACKAGES),
        },
    )


def _installed(packages: Iterable[str]) -> Mapping[str, str]:
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def load() -> Load:
    """The load average now."""
    one, five, fifteen = (round(value, 2) for value in os.getloadavg())
    return Load(one=one, five=five, fifteen=fifteen)


def cpu_seconds(pid: int) -> float:
    """What a process and its living children have used of the processors so far."""
    process = psutil.Process(pid)
    return sum(_own_seconds(one) for one in (process, *process.children(recursive=True)))


def _own_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def busy_seconds() -> float:
    """What all processes of the machine have used of its processors so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)
