"""What a process may have of its machine, by its cgroups."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from chaos.search.campaign.cgroup import memory_left, processors


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A machine of eight processors, whose kernel says this of its cgroups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def make(cgroup: str, **files: str) -> Path:
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
        for name, content in files.items():
            file = tmp_path / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return tmp_path

    return make


def test_without_a_quota_it_is_by_affinity(root: Callable[..., Path]) -> None:
    assert processors(root("0::/\n")) == 8
    assert processors(root("0::/\n", cpu_DOT_max="max 100000\n")) == 8


def test_a_quota_of_its_cgroup_counts(root: Callable[..., Path]) -> None:
    assert processors(root("0::/own\n", own__cpu_DOT_max="50000 100000\n")) == 0.5


def test_the_lowest_quota_of_those_above_counts(root: Callable[..., Path]) -> None:
    found = root(
        "0::/outer/inner\n",
        outer__cpu_DOT_max="150000 100000\n",
        outer__inner__cpu_DOT_max="400000 100000\n",
    )
    assert processors(found) == 1.5


def test_a_quota_beyond_the_processors_gives_no_more(root: Callable[..., Path]) -> None:
    assert processors(root("0::/\n", cpu_DOT_max="1600000 100000\n")) == 8


def test_a_quota_of_version_one_counts(root: Callable[..., Path]) -> None:
    files = {
        "cpu__own__cpu_DOT_cfs_quota_us": "25000\n",
        "cpu__own__cpu_DOT_cfs_period_us": "100000\n",
    }
    assert processors(root("4:cpu,cpuacct:/own\n1:name=systemd:/x\n", **files)) == 0.25


def test_no_quota_of_version_one_is_none(root: Callable[..., Path]) -> None:
    files = {"cpu__cpu_DOT_cfs_quota_us": "-1\n", "cpu__cpu_DOT_cfs_period_us": "100000\n"}
    assert processors(root("4:cpu:/\n", **files)) == 8


def test_in_a_container_the_root_is_its_own(root: Callable[..., Path]) -> None:
    """Its cgroup's path is the host's, of which it sees nothing."""
    assert processors(root("0::/docker/abc\n", cpu_DOT_max="200000 100000\n")) == 2


@pytest.fixture
def _plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))


@pytest.mark.usefixtures("_plenty")
def test_without_a_limit_it_may_have_the_memory_of_the_machine(root: Callable[..., Path]) -> None:
    assert memory_left(root("0::/\n")) == 1000
    files = {"own__memory_DOT_max": "max\n", "own__memory_DOT_current": "7\n"}
    assert memory_left(root("0::/own\n", **files)) == 1000


@pytest.mark.usefixtures("_plenty")
def test_what_its_container_has_left_counts_with_what_the_kernel_gives_back(
    root: Callable[..., Path],
) -> None:
    files = {
        "own__memory_DOT_max": "500\n",
        "own__memory_DOT_current": "450\n",
        "own__memory_DOT_stat": "anon 300\ninactive_file 100\n",
    }
    assert memory_left(root("0::/own/inner\n", **files)) == 150


@pytest.mark.usefixtures("_plenty")
def test_so_does_it_by_version_one(root: Callable[..., Path]) -> None:
    files = {
        "memory__own__memory_DOT_limit_in_bytes": "500\n",
        "memory__own__memory_DOT_usage_in_bytes": "510\n",
        "memory__memory_DOT_limit_in_bytes": "9223372036854771712\n",
        "memory__memory_DOT_usage_in_bytes": "900\n",
    }
    assert memory_left(root("4:memory:/own\n", **files)) == 0
