"""Makes the chaos suite's options and fixtures known to pytest."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest_plugins = ["chaos.plugin"]

_NEEDED = {
    "tests/integration/alerts": ("aiosmtpd",),
    "tests/integration/benchmarks": ("dbos", "matplotlib"),
    "tests/integration/cluster": ("trustme",),
    "tests/integration/network": ("trustme",),
    "tests/integration/report": ("playwright",),
    "tests/integration/service": ("playwright", "schemathesis"),
    "tests/integration/test_view.py": ("pyte",),
    "tests/unit/benchmarks": ("matplotlib",),
    "tests/unit/chaos/report/test_markdown.py": ("markdown_it",),
    "tests/unit/chaos/report/test_summary.py": ("markdown_it",),
    "tests/unit/chaos/view/test_terminal.py": ("pyte",),
    "tests/unit/test_github_workflow.py": ("yaml",),
}
"""What needs more than the project does: the dependency groups `tests` and `bench`."""

collect_ignore = [
    folder for folder, packages in _NEEDED.items() if not all(map(find_spec, packages))
]

_WITHOUT_SCENARIOS = ("tests/unit", "tests/integration")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare who wants the scenarios alone thousands of tests that would be deselected."""
    if config.option.markexpr != "chaos":
        return None
    folders = [config.rootpath / folder for folder in _WITHOUT_SCENARIOS]
    return True if collection_path in folders else None


def pytest_report_header() -> list[str]:
    """Say what is left out, where something is."""
    if not collect_ignore:
        return []
    left_out = ", ".join(collect_ignore)
    return [f"not collected: {left_out} (install the dependency groups tests and bench)"]
