"""What `results.json` says, as far as a recheck asks: what had run, and what was found then.

Less than `chaos/report/results.py` writes, so that runs of older versions can be judged again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from chaos.billing import Mode
from chaos.cluster.temporal import Topology
from chaos.report.results import CheckResult, NotRun, Result
from chaos.verdict import Verdict


class RecheckError(Exception):
    """The run cannot be judged again. One sentence: what happened and what to do."""


class RecordedCase(Result):
    """One case; figures that older versions did not write are None."""

    name: str
    verdict: Verdict
    control: bool = False
    duration_s: float = 0.0
    cost_usd: Decimal | None = None
    ideal_cost_usd: Decimal | None = None
    waste_usd: Decimal | None = None
    billed: dict[str, int] | None = None
    checks: tuple[CheckResult, ...] = ()


class RecordedScenario(Result):
    """One row of the table."""

    number: int
    name: str
    title: str
    verdict: Verdict
    cases: tuple[RecordedCase, ...] = ()


class RecordedRun(Result):
    """The whole run."""

    schema_version: Literal[1] = Field(alias="schema")
    run_id: str
    started_at: datetime
    mode: Mode = Mode.MOCKED
    topology: Topology = Topology.DEV
    versions: Mapping[str, str] = {}
    scenarios: tuple[RecordedScenario, ...]
    not_run: tuple[NotRun, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all of it had passed."""
        verdicts = [case.verdict for scenario in self.scenarios for case in scenario.cases]
        verdicts += [scenario.verdict for scenario in self.scenarios]
        return set(verdicts) == {Verdict.PASSED}


def read_results(folder: Path) -> RecordedRun:
    """Read a run's `results.json`. Raises RecheckError where there is none that can be read."""
    file = folder / "results.json"
    try:
        return RecordedRun.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RecheckError(
            f"{folder} holds no results.json: either it is not the folder of a run, or that run "
            "was broken off; name another, such as reports/latest."
        ) from None
    except OSError as error:
        raise RecheckError(
            f"{file} cannot be read ({error.strerror}): make it readable, or name another run."
        ) from None
    except ValidationError as error:
        raise RecheckError(f"{file} {_complaint(error)}") from None


def _complaint(error: ValidationError) -> str:
    """What is wrong with the file, and what to do."""
    problems = error.errors(include_url=False)
    schema = next((p["input"] for p in problems if p["type"] == "literal_error"), None)
    if schema is not None:
        return (
            f"is of schema {schema!r}, and this version reads schema 1: "
            "recheck the run with the version that made it."
        )
    place = ".".join(map(str, problems[0]["loc"]))
    message = f"{place}: {problems[0]['msg']}" if place else problems[0]["msg"]
    return f"is damaged ({message}): restore it, or name another run."
