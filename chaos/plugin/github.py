"""Annotations on GitHub: each scenario that did not pass, at the test that stands for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict

if TYPE_CHECKING:
    from chaos.experiment.results import ScenarioResult
    from chaos.experiment.scenario import Scenario

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def annotation_lines(
    tests: Mapping[pytest.Item, Scenario],
    results: Sequence[ScenarioResult],
    environment: Mapping[str, str],
) -> Iterator[str]:
    """Workflow commands, which GitHub Actions reads from a job's output; none anywhere else."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    items = {scenario.name: item for item, scenario in tests.items()}
    for result in results:
        if result.verdict is not Verdict.PASSED:
            kind = "warning" if result.verdict is Verdict.UNKNOWN else "error"
            title = f"title={_escaped(f'{result.name} {result.verdict}', _PROPERTY)}"
            place = _place(items.get(result.name), environment.get("GITHUB_WORKSPACE"))
            message = _escaped(f"{result.name} {result.verdict}: {result.reason}", _DATA)
            yield f"::{kind} {','.join([*place, title])}::{message}"


def _place(item: pytest.Item | None, workspace: str | None) -> Iterator[str]:
    """File and line; GitHub knows files by their path in the repository."""
    if item is None:
        return
    _, line, _ = item.location
    root = Path(workspace) if workspace else item.config.rootpath
    if item.path.is_relative_to(root):
        yield f"file={_escaped(str(item.path.relative_to(root)), _PROPERTY)}"
        if line is not None:
            yield f"line={line + 1}"  # pytest counts from 0


def _escaped(text: str, signs: Mapping[str, str]) -> str:
    return "".join(signs.get(sign, sign) for sign in plain(text))
