"""`chaos list`: every scenario and every fault, a line each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import get_args

import pytest

from chaos.__main__ import main
from chaos.faults import Fault
from chaos.guide import HEADINGS
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
    toxics = get_args(get_args(AnyToxic)[0])
    kinds = {toxic.model_fields["type"].default for toxic in toxics} | set(FaultKind)
    kinds |= set(Fault.kinds)

    first_words = [line.split()[0] for line in lines if line]
    assert {"bad_api", "kill_worker", "latency", "redirect"} <= kinds
    assert [kind for kind in kinds if first_words.count(kind) != 1] == []


def test_no_line_is_cut_where_there_is_no_terminal(lines: list[str]) -> None:
    assert not [line for line in lines if "…" in line]
    assert max(map(len, lines)) > 100


def test_programs_get_all_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    cases = {s["name"]: [case["name"] for case in s["cases"]] for s in found["scenarios"]}
    assert cases == {s.name: [case.name for case in s.cases] for s in all_scenarios()}
    assert {row["kind"] for row in found["rules_of_bad_api"]} == set(FaultKind)
    assert {
        "kind": "bad_api",
        "what": "The fake API answers some requests by a rule",
        "family": "api",
    } in found["faults"]


GUEST = """
from chaos import Scenario, Target

TARGET = Target(
    worker=("no-such-worker",),
    task_queue="orders",
    scenarios=lambda: [Scenario(name="mine", title="My Own", cases=())],
    listed={"ways to fail": {"late": "the parcel comes later"}},
)
"""


def test_in_a_project_of_others_it_lists_what_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From any folder within it."""
    (tmp_path / "listed_guest.py").write_text(GUEST)
    (tmp_path / "pyproject.toml").write_text('[tool.chaos]\ntargets = ["listed_guest:TARGET"]\n')
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    monkeypatch.setattr("sys.path", [*sys.path])

    assert main(["list"]) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["SCENARIOS", "No  Name  Title   Cases  Only", " 1  mine  My Own      0"]
    assert said[-2:] == ["WAYS TO FAIL", "late  the parcel comes later"]
    assert any(line.startswith("kill_worker") for line in said)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[tool.chaos", "cannot be read"),
        ('[tool.chaos]\ntargets = "one"\n', 'must be a list of "module:attribute"'),
        ('[tool.chaos]\ntargets = ["no_such_module:X"]\n', "cannot be imported"),
        ('[tool.chaos]\ntargets = ["json:loads"]\n', "is not a chaos.Target"),
    ],
)
def test_a_table_that_is_wrong_is_a_sentence(
    table: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    assert main(["list"]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_the_headings_of_the_guide_have_a_name_to_run_each_or_say_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--guide"]) == 0
    said = capsys.readouterr().out
    lines, words = said.splitlines(), " ".join(said.split())
    assert main(["list", "--guide", "--json"]) == 0
    headings = json.loads(capsys.readouterr().out)["headings"]

    assert len(headings) == len(HEADINGS)
    for heading, line in zip(headings, lines[1 : 1 + len(headings)], strict=True):
        assert line.split() == [heading["name"] or "-", *heading["title"].split()]
        assert len(line) <= 80  # a terminal cuts what is longer
        assert f"{heading['missing']}." in words or not heading["missing"]
        if heading["name"]:
            assert heading["command"] == f"temporal-chaos run {heading['name']} --guide"
