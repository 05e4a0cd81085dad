"""`chaos list`: every scenario and every fault, a line each."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from chaos import faults
from chaos.__main__ import main
from chaos.cli import list as module
from chaos.network.toxics import AnyToxic
from tests.chaos.video.fake_api.rules import FaultKind
from tests.chaos.video.scenarios.catalogue import all_scenarios


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["list"]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_scenario_has_a_line(lines: list[str]) -> None:
    for scenario in all_scenarios():
        (line,) = [each for each in lines if each.split()[1:2] == [scenario.name]]
        assert line.split()[0] == str(scenario.number)
        assert scenario.title in line
        assert f" {len(scenario.cases)}" in line


def test_it_tells_where_a_scenario_can_run_if_not_everywhere(lines: list[str]) -> None:
    ends = {
        line.split()[1]: line.partition("  ")[2] for line in lines if line[:2].strip().isdigit()
    }

    assert ends["server_pause"].endswith("mocked; dev")
    assert ends["server_restart"].endswith("5  dev, postgres")
    assert ends["api_slow"].endswith("2  mocked")
    assert ends["worker_crash"].endswith(" 1")


def test_each_fault_toxic_and_rule_has_a_line(lines: list[str]) -> None:
    union = [*get_args(get_args(faults.AnyFault)[0]), *get_args(get_args(AnyToxic)[0])]
    kinds = {kind.model_fields["type"].default for kind in union} | set(FaultKind)
    kinds |= {"disk_full", "damaged_database"}

    first_words = [line.split()[0] for line in lines if line]
    assert [kind for kind in kinds if first_words.count(kind) != 1] == []


def test_each_rule_is_described_and_none_that_does_not_exist() -> None:
    assert set(module._RULES) == set(FaultKind)


def test_no_line_is_cut_where_there_is_no_terminal(lines: list[str]) -> None:
    assert not [line for line in lines if "…" in line]
    assert max(map(len, lines)) > 100


def test_programs_get_all_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    cases = {s["name"]: [case["name"] for case in s["cases"]] for s in found["scenarios"]}
    assert cases == {s.name: [case.name for case in s.cases] for s in all_scenarios()}
    assert {row["kind"] for row in found["rules_of_bad_api"]} == set(FaultKind)
    assert found["faults"][0] == {
        "kind": "bad_api",
        "what": "The fake API answers some requests by a rule",
        "family": "api",
    }
