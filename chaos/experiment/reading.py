"""Reads `results.json`, also of an older version."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from chaos.evidence.files import read_file
from chaos.experiment.results import RunResult

_MOST_BYTES = 64 * 1024 * 1024
"""A run of all scenarios has 0.3 MB of results."""


class ReadingError(Exception):
    """The run's results cannot be read. One sentence: the `fact`, and what to do."""

    def __init__(self, fact: str, advice: str) -> None:
        super().__init__(f"{fact}: {advice}")
        self.fact = fact


def read_run(folder: Path) -> RunResult:
    """A run's results. Raises ReadingError."""
    file = folder / "results.json"
    try:
        found = RunResult.model_validate_json(read_file(file, _MOST_BYTES), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise ReadingError(
            f"{folder} has no results.json",
            "it is not the folder of a run, or that run was interrupted; name another, such as "
            "reports/latest.",
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


def _complaint(file: Path, error: ValidationError) -> ReadingError:
    """What is wrong with the file, and what to do."""
    problems = error.errors(include_url=False)
    schema = next((p["input"] for p in problems if p["loc"] == ("schema",)), None)
    if schema is not None and not isinstance(schema, dict):
        return ReadingError(
            f"{file} has schema {schema!r}, and this version reads schema 1",
            "use the version that made the run.",
        )
    place = ".".join(map(str, problems[0]["loc"]))
    message = f"{place}: {problems[0]['msg']}" if place else problems[0]["msg"]
    return _damaged(file, message)


def _damaged(file: Path, message: str) -> ReadingError:
    return ReadingError(f"{file} is damaged ({message})", "restore it, or name another run.")
