"""What the wheel asks for is what `chaos/` imports: no less, and no more, to harm no project."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]

DISTRIBUTIONS = {"google": "protobuf", "grpc": "grpcio"}
"""Where a package has another name than what brings it."""

UNSEEN = {"pluggy"}
"""Asked for because of its version: pytest imports it."""

BROUGHT = {"packaging"}
"""By pytest, of whichever version."""


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in requirements}


def _imported() -> Iterator[str]:
    for file in (PROJECT / "chaos").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def test_all_that_is_imported_is_asked_for_and_nothing_else() -> None:
    packages = set(_imported()) - sys.stdlib_module_names - {"chaos"}
    imported = {DISTRIBUTIONS.get(each, each) for each in packages} - BROUGHT

    assert imported == _names(METADATA["dependencies"]) - UNSEEN


def test_what_belongs_to_the_video_system_is_not_asked_for() -> None:
    theirs = {"google-genai", "fastapi", "sqlalchemy", "psycopg", "respx", "uvicorn", "starlette"}

    assert not theirs & _names(METADATA["dependencies"])
