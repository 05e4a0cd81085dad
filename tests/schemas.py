"""Whether the files that a run left are as the published schemas say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs

from chaos.report.schemas import FOLDER


def violations(folder: Path) -> dict[str, list[str]]:
    """What is not, by file; a file with nothing wrong has an empty list."""
    return {
        str(file.relative_to(folder)): list(_violations(schema, file))
        for schema in FOLDER.glob("*.json")
        for file in _described_by(schema.stem, folder)
    }


def _described_by(name: str, folder: Path) -> Iterator[Path]:
    if name == "pending":
        yield from folder.glob("**/pending/*.json")
        return
    for suffix in ("json", "jsonl"):
        yield from folder.glob(f"**/{name}.{suffix}")


def _violations(schema: Path, file: Path) -> Iterator[str]:
    validator = jsonschema_rs.validator_for(json.loads(schema.read_text()), validate_formats=True)
    text = file.read_text()
    for part in text.splitlines() if file.suffix == ".jsonl" else (text,):
        yield from (str(error) for error in validator.iter_errors(json.loads(part)))
