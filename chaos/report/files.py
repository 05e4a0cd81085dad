"""The files of a run: `results.json`, what is made of it, and the link `latest`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.evidence.files import write_file, write_link
from chaos.experiment.results import RunResult
from chaos.report.html import HtmlError, write_html
from chaos.report.junit import junit
from chaos.report.markdown import bullets, escaped, paragraph
from chaos.report.summary import append_step_summary, summary
from chaos.report.table import (
    ambiguous_lines,
    cost_table_lines,
    estimate_lines,
    load_lines,
    not_run_lines,
    overall_line,
    paid_line,
    problem_lines,
    recovery_table_lines,
    schedule_lines,
    second_try_lines,
    table_lines,
    topology_lines,
)


def write_reports(
    result: RunResult, folder: Path, *, environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Write all of them, each whole or not at all, and point `latest` at the folder.

    What else could not be done, and loses nothing of the run, is returned, a sentence each.
    """
    write_file(folder / "results.json", result.model_dump_json(by_alias=True, indent=2) + "\n")
    write_derived(result, folder, summary(result, environment=environment))
    troubles = [
        _point_latest(folder),
        append_step_summary(result, environment),
        _write_html(folder),
    ]
    return tuple(trouble for trouble in troubles if trouble)


def _point_latest(folder: Path) -> str | None:
    """A sentence where something else is called so, which is not ours to remove."""
    latest = folder.parent / "latest"
    try:
        write_link(latest, folder.name)
    except OSError as error:
        return (
            f"{latest} could not be pointed at this run ({error.strerror}); move away what is "
            "called so."
        )
    return None


def _write_html(folder: Path) -> str | None:
    """The page for reading, the last of all: nothing hangs on it. A sentence where that failed."""
    try:
        write_html(folder)
    except HtmlError as error:
        return str(error)
    return None


def write_derived(result: RunResult, folder: Path, summary_text: str) -> tuple[Path, ...]:
    """Write what follows from the results alone; the files."""
    texts = {
        "results.md": markdown(result),
        "summary.md": summary_text,
        "junit.xml": junit(result),
    }
    for name, text in texts.items():
        write_file(folder / name, text)
    return tuple(folder / name for name in texts)


def markdown(result: RunResult) -> str:
    """The tables with what is to be said of them."""
    table = "\n".join(table_lines(result, escaped))
    parts = [f"# Run {escaped(result.run_id)}", table, paragraph(overall_line(result))]
    parts += [*map(paragraph, topology_lines(result)), *_list(not_run_lines(result))]
    parts += _list(schedule_lines(result))
    parts += ["\n".join(cost_table_lines(result, escaped)), *_list(ambiguous_lines(result))]
    parts += ["\n".join(lines)] if (lines := recovery_table_lines(result, escaped)) else []
    if result.paid_usd is not None and result.budget_usd is not None:
        parts.append(paragraph(paid_line(result.paid_usd, result.budget_usd)))
    parts += _list(estimate_lines(result))
    parts += map(paragraph, load_lines(result))
    parts += [*_list(problem_lines(result)), *_list(second_try_lines(result))]
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    parts.append(paragraph(f"Mode {result.mode}, topology {result.topology}; {versions}."))
    return "\n\n".join(parts) + "\n"


def _list(lines: Sequence[str]) -> list[str]:
    """One part with a bullet for each line; none where there is no line."""
    return [bullets([escaped(line) for line in lines])] if lines else []
