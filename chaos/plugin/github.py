"""Annotations on GitHub: each scenario that did not pass, at the test that stands for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaos.invariants.verdict import Verdict
from chaos.report.github import annotation, as_property, is_read

if TYPE_CHECKING:
    from chaos.experiment.results import ScenarioResult
    from chaos.experiment.scenario import Scenario


def annotation_lines(
    tests: Mapping[pytest.Item, Scenario],
    results: Sequence[ScenarioResult],
    environment: Mapping[str, str],
) -> Iterator[str]:
    """Workflow commands, which GitHub Actions reads from a job's output; none anywhere else."""
    if not is_read(environment):
        return
    items = {scenario.name: item for item, scenario in tests.items()}
    for result in results:
        if result.verdict is not Verdict.PASSED:
            title = f"{result.name} {result.verdict}"
            place = _place(items.get(result.name), environment.get("GITHUB_WORKSPACE"))
            yield annotation(result.verdict, title, f"{title}: {result.reason}", [*place])


def _place(item: pytest.Item | None, workspace: str | None) -> Iterator[str]:
    """File and line; GitHub knows files by their path in the repository."""
    if item is None:
        return
    _, line, _ = item.location
    root = Path(workspace) if workspace else item.config.rootpath
    if item.path.is_relative_to(root):
        yield f"file={as_property(str(item.path.relative_to(root)))}"
        if line is not None:
            yield f"line={line + 1}"  # pytest counts from 0
