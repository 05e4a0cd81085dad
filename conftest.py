"""Makes the chaos suite's options and fixtures known to pytest."""

from __future__ import annotations

from importlib.util import find_spec

pytest_plugins = ["chaos.plugin"]

_NEEDED = {
    "tests/integration/alerts": ("aiosmtpd",),
    "tests/integration/cluster": ("trustme",),
    "tests/integration/network": ("trustme",),
    "tests/integration/report": ("playwright",),
    "tests/integration/service": ("playwright", "schemathesis"),
    "tests/unit/chaos/report/test_markdown.py": ("markdown_it",),
    "tests/unit/chaos/report/test_summary.py": ("markdown_it",),
    "tests/unit/test_github_workflow.py": ("yaml",),
}
"""Folders and files whose tests need more than the project does: the dependency group `tests`."""

collect_ignore = [
    folder for folder, packages in _NEEDED.items() if not all(map(find_spec, packages))
]


def pytest_report_header() -> list[str]:
    """Say what is left out, where something is."""
    if not collect_ignore:
        return []
    left_out = ", ".join(collect_ignore)
    return [f"not collected: {left_out} (install the dependency group tests)"]
