"""`results.json` read back: of today, of older versions, and of none that can be read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaos.experiment.reading import ReadingError, read_run
from chaos.report.files import write_reports
from tests.unit.chaos.report.made_runs import a_run, a_scenario

NEWER = ("waste_usd", "possible_waste_usd", "saved_usd", "ambiguous")
"""Fields of cases and scenarios that the first version did not write."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "2026-01-02T03-04-05Z"
    folder.mkdir()
    write_reports(a_run(a_scenario()), folder, environment={})
    return folder


def _edit(folder: Path, edit: Callable[[Any], None]) -> None:
    file = folder / "results.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def _as_the_first_version_wrote_it(content: Any) -> None:
    for name in ("mode", "topology", "not_run", "budget_usd", "paid_usd", "suite_estimates"):
        del content[name]
    del content["overall"]["not_run"]
    for scenario in content["scenarios"]:
        for part in (scenario, *scenario["cases"]):
            for name in NEWER:
                del part[name]
        for fault in (scenario["fault"], *scenario["cases"][0]["faults"]):
            del fault["repeated_attempts"], fault["recovery_s"]["bound"]
        del scenario["recovery_s"]["bound"]


def test_what_was_written_is_read_back(folder: Path) -> None:
    assert read_run(folder) == a_run(a_scenario())
    assert read_run(folder.parent / "latest") == read_run(folder)


def test_a_run_of_the_first_version_is_read_and_what_it_did_not_record_is_known(
    folder: Path,
) -> None:
    _edit(folder, _as_the_first_version_wrote_it)

    (scenario,) = read_run(folder).scenarios

    (case,) = scenario.cases
    assert case.cost_usd == a_scenario().cost_usd
    assert case.model_fields_set & set(NEWER) == set()
    assert "repeated_attempts" not in case.faults[0].model_fields_set
    assert case.faults[0].recovery_s
    assert case.faults[0].recovery_s.bound == math.inf


def test_what_a_later_version_adds_is_passed_over(folder: Path) -> None:
    _edit(folder, lambda content: content.update(weather="fine"))

    assert read_run(folder) == a_run(a_scenario())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"schema": 1,', "is damaged (Invalid JSON"),
        (b"\xff\xfe", "is damaged ("),
        (b'{"schema": 2}', "has schema 2, and this version reads schema 1: use the version"),
        (b'{"schema": "1"}', "has schema '1'"),
        (b"{}", "is damaged (run_id: Field required): restore it"),
        (b"[]", "is damaged (Input should be"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(
    folder: Path, content: bytes, words: str
) -> None:
    (folder / "results.json").write_bytes(content)

    with pytest.raises(ReadingError) as caught:
        read_run(folder)

    assert words in str(caught.value)
    assert str(caught.value).startswith(caught.value.fact)
    assert "\n" not in str(caught.value)


def test_results_that_do_not_say_their_schema_are_damaged(folder: Path) -> None:
    _edit(folder, lambda content: content.pop("schema"))

    with pytest.raises(ReadingError, match="schema: Field required"):
        read_run(folder)


def test_a_folder_without_results_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for missing in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(ReadingError, match=r"has no results\.json"):
            read_run(missing)


def test_results_that_are_a_folder_cannot_be_read(folder: Path) -> None:
    (folder / "results.json").unlink()
    (folder / "results.json").mkdir()

    with pytest.raises(ReadingError, match="cannot be read"):
        read_run(folder)
