"""JUnit as its readers accept it, with what a scenario was and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

import pytest

from chaos.environment.temporal import Topology
from chaos.experiment.results import NotRun, RunResult
from chaos.invariants.verdict import Verdict
from chaos.report.junit import junit
from tests.unit.chaos.report.made_runs import a_case, a_fault, a_recovery, a_run, a_scenario

CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "testcase": [
        *("properties", "skipped", "error", "failure"),
        *("rerunError", "flakyError", "system-out"),
    ],
    "properties": ["property"],
}
"""What may stand in what, in this order."""


def _suite(run: RunResult) -> ET.Element:
    return ET.fromstring(junit(run).encode())[0]  # noqa: S314 - our own text


def _properties(element: ET.Element) -> Mapping[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in element.iterfind("properties/property")}


def _misplaced(element: ET.Element) -> Iterator[str]:
    allowed = CHILDREN.get(element.tag, [])
    tags = [child.tag for child in element]
    if not set(tags) <= set(allowed) or tags != sorted(tags, key=allowed.index):
        yield f"{element.tag}: {tags}"
    for child in element:
        yield from _misplaced(child)


@pytest.fixture
def run() -> RunResult:
    absent = NotRun(number=3, name="disk", title="Disk", reason="nobody may mount here")
    missed = a_fault().model_copy(update={"hit": False})
    slow = a_case("slow", faults=(a_fault(a_recovery(redo=9.0)), missed))
    return a_run(
        a_scenario("good", slow, number=1),
        a_scenario("bad", a_case("one", "it broke", "twice"), number=2),
        a_scenario("odd", a_case("one", "who knows", verdict=Verdict.UNKNOWN), number=4),
        not_run=[absent],
    )


def test_every_element_is_where_readers_expect_it(run: RunResult) -> None:
    root = ET.fromstring(junit(run).encode())  # noqa: S314 - our own text

    assert list(_misplaced(root)) == []
    suite = root[0]
    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert [case.attrib["name"] for case in suite.iter("testcase")] == [
        *("good", "bad", "odd", "disk"),
    ]


def test_the_suite_says_which_run_it_was(run: RunResult) -> None:
    assert _properties(_suite(run)) == {
        "run_id": "2026-01-02T03-04-05Z",
        "mode": "mocked",
        "topology": "dev",
        "version.server": "1.31.2",
    }


def test_a_test_case_says_what_hit_it_how_it_recovered_and_what_it_cost(run: RunResult) -> None:
    found = _properties(_suite(run)[1])

    assert found == {
        "verdict": "passed",
        "mode": "mocked",
        "topology": "dev",
        "faults": "2",
        "faults_hit": "1",
        "slowest_recovery_from": "kill at worker-1",
        "slowest_recovery_s": "30.0",
        "slowest_recovery_waited_s": "21.0",
        "slowest_recovery_bound_s": "44.0",
        "cost_usd": "1.239",
        "ideal_cost_usd": "1.239",
        "waste_usd": "0",
        "possible_waste_usd": "0",
        "saved_usd": "1.20",
    }


def test_the_seed_and_topology_stand_where_there_are_such(run: RunResult) -> None:
    seeded = run.model_copy(update={"seed": 7, "topology": Topology.POSTGRES})

    suite = _suite(seeded)
    for element in (suite, suite[1]):
        assert _properties(element)["seed"] == "7"
        assert _properties(element)["topology"] == "postgres"


def test_a_failure_has_a_line_for_each_problem_and_the_way_to_run_it_again(run: RunResult) -> None:
    _, good, bad, odd, absent = _suite(run)

    failure, error = bad.find("failure"), odd.find("error")
    assert failure is not None
    assert failure.text == "one: it_holds: it broke\none: it_holds: twice"
    assert failure.attrib["message"] == "it broke; twice"
    assert error is not None
    assert error.text == "one: it_holds: who knows"
    assert bad.findtext("system-out") == "Run it again: python -m chaos run bad"
    assert good.find("failure") is good.find("error") is good.find("skipped") is None
    assert absent.find("skipped") is not None


@pytest.mark.parametrize(
    ("verdict", "tag"), [(Verdict.PASSED, "flakyError"), (Verdict.FAILED, "rerunError")]
)
def test_both_tries_of_a_case_are_in_it(verdict: Verdict, tag: str) -> None:
    first = a_case("one", "too busy", verdict=Verdict.UNKNOWN)
    problems = () if verdict is Verdict.PASSED else ("it broke",)
    run = a_run(a_scenario("odd", a_case("one", *problems, first_try=first)))

    (case,) = _suite(run).iter("testcase")

    (told,) = case.iter(tag)
    assert told.attrib == {"message": "one, 1st try: too busy", "type": "unknown"}
    assert len(case.findall("failure")) == (verdict is Verdict.FAILED)
    assert list(_misplaced(case)) == []
