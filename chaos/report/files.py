"""The files of a run: `results.json`, what is made of it, and the link `latest`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chaos.evidence.files import write_file, write_link
from chaos.experiment.results import RunResult
from chaos.report.html import NAME, HtmlError, write_html
from chaos.report.junit import junit
from chaos.report.markdown import bullets, escaped, paragraph
from chaos.report.summary import append_step_summary, summary
from chaos.report.table import outcome, overall_line


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
            f"{latest} could not be pointed at this run ({error.strerror}); move the existing "
            "file of that name."
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
    parts = [f"# Run {escaped(result.run_id)}", paragraph(overall_line(result))]
    for lines in outcome(result, escaped):
        is_table = lines[0].startswith("|")
        parts.append("\n".join(lines) if is_table else bullets([escaped(each) for each in lines]))
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    parts.append(paragraph(f"Mode {result.mode}, topology {result.topology}; {versions}."))
    return "\n\n".join(parts) + "\n"


def outcome_lines(result: RunResult, folder: Path) -> list[str]:
    """For a terminal: the same, where it is kept, and the OVERALL line at the end."""
    lines: list[str] = []
    for part in outcome(result):
        lines += ["", *part] if lines and part[0].startswith("|") else part
    lines += ["", f"Evidence and results: {folder}"]
    lines += [f"Report: {folder / NAME}"] if (folder / NAME).exists() else []
    return [*lines, overall_line(result)]
