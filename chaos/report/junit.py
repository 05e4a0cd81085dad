"""JUnit, for whatever shows the tests of a build: a test case for each scenario."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

from chaos.evidence.text import plain
from chaos.experiment.results import NotRun, RunResult, ScenarioResult
from chaos.invariants.verdict import Verdict
from chaos.report.again import again
from chaos.report.table import case_problems, goal_lines

TAGS = {Verdict.FAILED: "failure", Verdict.UNKNOWN: "error"}
"""By verdict: the element of a case that did not pass."""


def junit(result: RunResult) -> str:
    """A failed scenario is a failure, an unknown one an error, one not run is skipped.

    Of the schema's dialects this is what all accept: properties come first, output last.
    """
    verdicts = [s.verdict for s in result.scenarios]
    seconds = max((s.duration_s for s in result.scenarios), default=0.0)
    suite = ET.Element(
        "testsuite",
        name="chaos",
        tests=str(len(verdicts) + len(result.not_run) + bool(result.unmet)),
        failures=str(verdicts.count(Verdict.FAILED)),
        errors=str(verdicts.count(Verdict.UNKNOWN) + bool(result.unmet)),
        skipped=str(len(result.not_run)),
        time=f"{seconds:.3f}",
        timestamp=result.started_at.isoformat(),
    )
    add_properties(suite, dict(_of_run(result)))
    for scenario in result.scenarios:
        _add_scenario(suite, scenario, result)
    for each in result.not_run:
        _add_absent(suite, each)
    if lines := goal_lines(result):
        case = add_case(suite, "goals", "0")
        error = ET.SubElement(case, "error", message=plain("; ".join(lines)), type=Verdict.UNKNOWN)
        error.text = "\n".join(map(plain, lines))
    return written(suite)


def written(suite: ET.Element) -> str:
    """A suite as a file."""
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _of_run(result: RunResult) -> Iterator[tuple[str, object]]:
    yield "run_id", result.run_id
    yield "mode", result.mode
    yield "topology", result.topology
    if result.seed is not None:
        yield "seed", result.seed
    for name, version in result.versions.items():
        yield f"version.{name}", version


def _of_scenario(scenario: ScenarioResult, result: RunResult) -> Iterator[tuple[str, object]]:
    faults = [fault for case in scenario.cases for fault in case.faults]
    yield "verdict", scenario.verdict
    yield "mode", result.mode
    yield "topology", result.topology
    if result.seed is not None:
        yield "seed", result.seed
    yield "faults", len(faults)
    yield "faults_hit", sum(fault.hit for fault in faults)
    if (slowest := scenario.recovery_s) and (fault := scenario.fault):
        yield "slowest_recovery_from", f"{fault.kind} at {fault.target}"
        yield "slowest_recovery_s", slowest.total
        yield "slowest_recovery_waited_s", round(slowest.waited, 3)
        if math.isfinite(slowest.bound):
            yield "slowest_recovery_bound_s", slowest.bound
    yield "cost_usd", scenario.cost_usd
    yield "ideal_cost_usd", scenario.ideal_cost_usd
    yield "waste_usd", scenario.waste_usd
    yield "possible_waste_usd", scenario.possible_waste_usd
    yield "saved_usd", scenario.saved_usd


def _add_scenario(suite: ET.Element, scenario: ScenarioResult, result: RunResult) -> None:
    case = add_case(suite, scenario.name, f"{scenario.duration_s:.3f}")
    add_properties(case, dict(_of_scenario(scenario, result)))
    if tag := TAGS.get(scenario.verdict):
        problem = ET.SubElement(case, tag, message=plain(scenario.reason), type=scenario.verdict)
        problem.text = "\n".join(
            plain(f"{c.name}: {each}") for c in scenario.cases for each in case_problems(c)
        )
    for second, first in scenario.first_tries:
        # As Surefire tells of a test that was run again, and as others read it.
        tag = "flakyError" if second.verdict is Verdict.PASSED else "rerunError"
        message = plain(f"{first.name}, 1st try: {first.reason}")
        ET.SubElement(case, tag, message=message, type=first.verdict)
    output = ET.SubElement(case, "system-out")
    output.text = plain(f"Run it again: {again(result, [scenario.name])}")


def _add_absent(suite: ET.Element, each: NotRun) -> None:
    case = add_case(suite, each.name, "0")
    ET.SubElement(case, "skipped", message=plain(each.reason))


def add_case(suite: ET.Element, name: str, seconds: str) -> ET.Element:
    """A test case of a suite."""
    return ET.SubElement(suite, "testcase", classname="chaos", name=plain(name), time=seconds)


def add_properties(parent: ET.Element, values: Mapping[str, object]) -> None:
    """What is on record of a suite or a case beside its verdict."""
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=plain(name), value=plain(str(value)))
