"""What workers assert of themselves by an Antithesis SDK: always, sometimes, reachable and so on.

Outside of Antithesis these SDKs, in any language, write JSON lines to the file that the variable
`LOCAL_OUTPUT` names. Each worker has one of its own in the case's folder; some SDKs begin it anew
at each start, so an older one is put aside before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from chaos.evidence.files import read_if_there
from chaos.evidence.text import plain

LOCAL_OUTPUT = "ANTITHESIS_SDK_LOCAL_OUTPUT"

MOST_BYTES = 16 * 1024 * 1024
"""Of one worker's file. The SDKs write a few lines for each assertion in its code."""

_PREFIX = "assertions-"
_KEY = "antithesis_assert"


class AssertionsError(Exception):
    """A file of assertions is damaged; the message says where."""


class Assertion(BaseModel):
    """One line: an assertion that is declared, or that was `hit` with this `condition`. One that
    `must_hit` has to be reached at least once.
    """

    model_config = ConfigDict(frozen=True)

    message: str
    assert_type: str
    display_type: str = ""
    hit: bool
    must_hit: bool
    condition: bool
    location: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        """Its kind and its message, which is what the SDKs know it by."""
        return plain(f"{self.display_type or self.assert_type}: {self.message}")

    @property
    def is_violated(self) -> bool:
        """Whether it shows what must never be."""
        if not self.hit:
            return False
        if self.assert_type == "reachability":
            return not self.must_hit
        return self.assert_type == "always" and not self.condition

    @property
    def is_met(self) -> bool:
        """Whether it shows what has to be seen at least once."""
        return self.hit and (self.condition or self.assert_type != "sometimes")

    @property
    def place(self) -> str:
        """Where it is in the worker's code; empty where that is not said."""
        file, line = self.location.get("file"), self.location.get("begin_line")
        return plain(f"{file}:{line}") if file else ""


def assertions_file(folder: Path, worker: str) -> Path:
    """Where a worker writes its own."""
    return folder / f"{_PREFIX}{worker}.jsonl"


def put_aside(file: Path) -> None:
    """Give an older file of that worker another name, before the worker starts again."""
    if file.exists():
        names = (file.with_name(f"{file.stem}-{number}.jsonl") for number in count(1))
        file.rename(next(name for name in names if not name.exists()))


def read_assertions(folder: Path) -> Sequence[Assertion]:
    """Those of the code of all workers of a case. An unfinished last line is left out: its writer
    was killed. Raises AssertionsError for any other damage, and where one cannot be read.
    """
    files = sorted(folder.glob(f"{_PREFIX}*.jsonl"))
    return tuple(each for file in files for each in _read(file))


def _read(file: Path) -> Iterator[Assertion]:
    try:
        content = read_if_there(file, MOST_BYTES) or b""
    except OSError as error:
        raise AssertionsError(f"{file.name} cannot be read ({error.strerror}).") from None
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line) if line.strip() else {}
            if isinstance(record, dict) and _KEY in record:
                found = Assertion.model_validate(record[_KEY])
                if found.place:  # else it is an SDK's own, about how it was built for Antithesis
                    yield found
        except (ValueError, RecursionError):
            raise AssertionsError(
                f"line {number} of {file.name} is damaged: keep the file as evidence."
            ) from None


def to_be_met(assertions: Iterable[Assertion]) -> Mapping[str, bool]:
    """Whether each that must be seen once was, by its name; each is declared or was reached."""
    found: dict[str, bool] = {}
    for each in assertions:
        if each.must_hit:
            found[each.name] = found.get(each.name, False) or each.is_met
    return found
