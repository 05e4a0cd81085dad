"""The published schemas are those of the models, and hold for what runs have left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from chaos.report.schemas import FOLDER, texts
from tests.schemas import violations

DATA = Path(__file__).parents[3] / "data"


def test_the_files_are_those_of_the_models() -> None:
    kept = {file.name: file.read_text() for file in FOLDER.iterdir()}

    assert kept == texts(), "run python -m chaos.report.schemas"


@pytest.mark.parametrize("name", texts())
def test_each_is_a_schema_of_its_draft(name: str) -> None:
    schema = json.loads((FOLDER / name).read_text(), parse_constant=pytest.fail)

    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert ":" in schema["$id"]
    assert "//" not in schema["$id"]


def test_a_run_of_the_first_release_is_as_they_say() -> None:
    found = violations(DATA / "orders")

    assert {"results.json", "server_restarts/sigkill/journal.jsonl"} <= found.keys()
    assert not any(found.values()), found


def _first_case(results: Any) -> Any:
    return results["scenarios"][0]["cases"][0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda results: results.pop("run_id"),
        lambda results: results.update(schema=2),
        lambda results: results.update(started_at="yesterday"),
        lambda results: _first_case(results).update(cost_usd=1.24),
        lambda results: _first_case(results).update(verdict="fine"),
        lambda results: _first_case(results).update(duration_s=-1),
    ],
)
def test_what_no_run_writes_is_against_them(
    damage: Callable[[Any], object], tmp_path: Path
) -> None:
    run = shutil.copytree(DATA / "orders", tmp_path / "run")
    results = json.loads((run / "results.json").read_text())
    damage(results)
    (run / "results.json").write_text(json.dumps(results))

    assert violations(run)["results.json"]


def test_a_line_of_a_journal_that_is_no_entry_breaks_them(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"at": "2026-01-02T03:04:05Z", "event": "lunch"}\n')

    assert violations(tmp_path)["journal.jsonl"]
