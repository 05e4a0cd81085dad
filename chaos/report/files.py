"""The files of a run: `results.json`, `results.md`, `junit.xml`, and the link `latest`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from chaos.report.results import RunResult, ScenarioResult
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
    table_lines,
    topology_lines,
)
from chaos.verdict import Verdict


def write_reports(result: RunResult, folder: Path) -> None:
    """Write all of them, each whole or not at all, and point `latest` at the folder."""
    write_file(folder / "results.json", result.model_dump_json(by_alias=True, indent=2) + "\n")
    write_file(folder / "results.md", markdown(result))
    write_file(folder / "junit.xml", junit(result))
    link = folder.parent / f".latest-{folder.name}"
    link.symlink_to(folder.name)
    link.replace(folder.parent / "latest")


def markdown(result: RunResult) -> str:
    """The tables with what is to be said of them."""
    parts = [f"# Run {result.run_id}", "\n".join(table_lines(result)), overall_line(result)]
    parts += [*topology_lines(result), *_list(not_run_lines(result))]
    parts += _list(schedule_lines(result))
    parts += ["\n".join(cost_table_lines(result)), *_list(ambiguous_lines(result))]
    parts += ["\n".join(lines)] if (lines := recovery_table_lines(result)) else []
    if result.paid_usd is not None and result.budget_usd is not None:
        parts.append(paid_line(result.paid_usd, result.budget_usd))
    parts += _list(estimate_lines(result))
    parts += [*load_lines(result), *_list(problem_lines(result))]
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    parts.append(f"Mode {result.mode}, topology {result.topology}; {versions}.")
    return "\n\n".join(parts) + "\n"


def _list(lines: Sequence[str]) -> list[str]:
    """One part with a bullet for each line; none where there is no line."""
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def junit(result: RunResult) -> str:
    """JUnit: a failed scenario is a failure, an unknown one an error, one not run is skipped."""
    verdicts = [s.verdict for s in result.scenarios]
    suite = ET.Element(
        "testsuite",
        name="chaos",
        tests=str(len(verdicts) + len(result.not_run)),
        skipped=str(len(result.not_run)),
        failures=str(verdicts.count(Verdict.FAILED)),
        errors=str(verdicts.count(Verdict.UNKNOWN)),
        time=f"{max((s.duration_s for s in result.scenarios), default=0.0):.3f}",
        timestamp=result.started_at.isoformat(),
    )
    suite.extend(_test_case(s) for s in result.scenarios)
    for each in result.not_run:
        absent = ET.SubElement(suite, "testcase", classname="chaos", name=each.name, time="0")
        ET.SubElement(absent, "skipped", message=each.reason)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _test_case(scenario: ScenarioResult) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname="chaos",
        name=scenario.name,
        time=f"{scenario.duration_s:.3f}",
    )
    properties = ET.SubElement(case, "properties")
    for name, value in {
        "verdict": scenario.verdict,
        "cost_usd": scenario.cost_usd,
        "ideal_cost_usd": scenario.ideal_cost_usd,
        "waste_usd": scenario.waste_usd,
        "possible_waste_usd": scenario.possible_waste_usd,
        "saved_usd": scenario.saved_usd,
    }.items():
        ET.SubElement(properties, "property", name=name, value=str(value))
    tag = {Verdict.FAILED: "failure", Verdict.UNKNOWN: "error"}.get(scenario.verdict)
    if tag:
        ET.SubElement(case, tag, message=scenario.reason)
    return case


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError."""
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
