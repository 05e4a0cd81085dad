"""Reads a run's `results.json` back, and its evidence: those of an older version too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from chaos.environment.target import Target
from chaos.evidence.case import Evidence
from chaos.evidence.files import read_file
from chaos.experiment.results import Result, RunResult

_MOST_BYTES = 64 * 1024 * 1024
"""A run of all scenarios has 0.3 MB of results."""

_LONGEST_NAME = 255
"""Of a file, in bytes, for most systems."""
_NOWHERE = ".no-such-case"

UNNAMED = Target(worker=(), task_queue="")
"""A target of which nothing is known but what its evidence says."""

R = TypeVar("R", bound=Result)


class ReadingError(Exception):
    """The run's results cannot be read. One sentence: the `fact`, and what to do."""

    def __init__(self, fact: str, advice: str) -> None:
        super().__init__(f"{fact}: {advice}")
        self.fact = fact


def read_run(folder: Path) -> RunResult:
    """A run's results. Raises ReadingError."""
    return read_as(RunResult, folder)


def read_as(wanted: type[R], folder: Path) -> R:
    """What a run's `results.json` says, as far as somebody asks. Raises ReadingError."""
    file = folder / "results.json"
    try:
        found = wanted.model_validate_json(read_file(file, _MOST_BYTES), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise ReadingError(
            f"{folder} holds no results.json",
            "either it is not the folder of a run, or that run was broken off; "
            "name another, such as reports/latest.",
        ) from None
    except OSError as error:
        raise ReadingError(
            f"{file} cannot be read ({error.strerror})", "restore it, or name another run."
        ) from None
    except ValidationError as error:
        raise _complaint(file, error) from None
    if "schema_version" not in found.model_fields_set:
        raise _damaged(file, "schema: Field required")
    return found


def load_evidence(folder: Path, targets: Sequence[Target]) -> tuple[Target, Evidence]:
    """A case's evidence by the first of these targets that can read it, or as it stands.

    An older version kept no books of its own: only the target can read who was paid. Raises
    whatever the reading of damaged evidence raises.
    """
    for target in targets:
        with suppress(Exception):  # it may be another's
            return target, target.load_evidence(folder)
    return UNNAMED, UNNAMED.load_evidence(folder)


def evidence_folder(run: Path, scenario: str, case: str) -> Path:
    """Where the evidence of a case is. A name that would lead out of the run leads to nothing."""
    for name in (scenario, case):
        is_one = name not in {"", ".", ".."} and not {"/", "\0"} & set(name)
        if not is_one or len(os.fsencode(name)) > _LONGEST_NAME:
            return run / _NOWHERE
    return run / scenario / case


def _complaint(file: Path, error: ValidationError) -> ReadingError:
    """What is wrong with the file, and what to do."""
    problems = error.errors(include_url=False)
    schema = next((p["input"] for p in problems if p["loc"] == ("schema",)), None)
    if schema is not None and not isinstance(schema, dict):
        return ReadingError(
            f"{file} is of schema {schema!r}, and this version reads schema 1",
            "use the version that made the run.",
        )
    place = ".".join(map(str, problems[0]["loc"]))
    message = f"{place}: {problems[0]['msg']}" if place else problems[0]["msg"]
    return _damaged(file, message)


def _damaged(file: Path, message: str) -> ReadingError:
    return ReadingError(f"{file} is damaged ({message})", "restore it, or name another run.")
