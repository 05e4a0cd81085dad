"""Makes the suite's options and fixtures known to pytest, its options by short names as well."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest

from chaos.plugin import given, options

_DAY = "SAMPLE_DAY"
# Taken once: tests that run side by side have processes of their own, and midnight may come.
os.environ.setdefault(_DAY, str(datetime.now(UTC).toordinal()))

pytest_plugins = ["chaos.plugin", "tests.seen_red", "tests.chaos.video.live"]

_NEEDED = {
    "tests/integration/benchmarks": ("dbos", "matplotlib"),
    "tests/integration/environment": ("trustme",),
    "tests/integration/network": ("trustme",),
    "tests/integration/report": ("playwright",),
    "tests/integration/service": ("playwright", "schemathesis"),
    "tests/integration/test_site.py": ("mkdocstrings", "playwright", "zensical"),
    "tests/integration/test_view.py": ("pyte",),
    "tests/integration/wire": ("trustme",),
    "tests/unit/benchmarks": ("matplotlib",),
    "tests/unit/chaos/report/test_hostile_text.py": ("markdown_it",),
    "tests/unit/chaos/report/test_markdown.py": ("markdown_it",),
    "tests/unit/chaos/report/test_summary.py": ("markdown_it",),
    "tests/unit/chaos/plugin/test_live_view.py": ("pyte",),
    "tests/unit/test_github_workflow.py": ("yaml",),
}
"""What needs more than the project does: the dependency groups `tests` and `bench`."""

collect_ignore = [
    folder for folder, packages in _NEEDED.items() if not all(map(find_spec, packages))
]

_ELSEWHERE = {
    "chaos": ("tests/unit", "tests/integration"),
    "nightly": ("tests/unit", "tests/chaos"),
    "sample": ("tests/unit", "tests/chaos"),
}
"""Where no test is of a size that is asked for alone."""


_SHORT = "--"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed` is `--chaos-seed`, and so on: no other plugin here has such options."""
    group = parser.getgroup("chaos short", "the same by short names, in this repository")
    options.add_options(group.addoption, _SHORT)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have the suite name its options as they are named here."""
    config.stash[given.SPELLING] = _SHORT


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare who wants one size alone thousands of tests that would be deselected."""
    folders = [config.rootpath / folder for folder in _ELSEWHERE.get(config.option.markexpr, ())]
    return True if collection_path in folders else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep of each test that is sampled in turn so many of its cases, others each day."""
    if config.option.markexpr != "sample":
        return
    day = int(os.environ[_DAY])
    kept: list[pytest.Item] = []
    for _, same in groupby(items, key=lambda item: getattr(item, "function", item)):
        cases = list(same)
        mark = cases[0].get_closest_marker("sample")
        kept += in_turn(cases, mark.kwargs.get("of_each_day"), day) if mark else cases
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def in_turn(cases: list[pytest.Item], count: int | None, day: int) -> list[pytest.Item]:
    """So many of the cases, the next ones each day; all of them without a count."""
    if count is None:
        return cases
    return [cases[(day * count + n) % len(cases)] for n in range(min(count, len(cases)))]


def pytest_report_header() -> list[str]:
    """Say what is left out, where something is."""
    if not collect_ignore:
        return []
    left_out = ", ".join(collect_ignore)
    return [f"not collected: {left_out} (install the dependency groups tests and bench)"]
