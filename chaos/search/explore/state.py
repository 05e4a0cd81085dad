"""An exploration's folder: its plan and the result of each attempt. It can always be resumed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from chaos.evidence.files import append_to, new_folder, read_if_there, write_file
from chaos.evidence.history import Status
from chaos.invariants.verdict import Verdict
from chaos.search.explore.plan import Choice, Plan, PlannedHit

PREFIX = "explore-"
PLAN = "plan.json"
RESULTS = "points.jsonl"
ATTEMPTS = "tries"  # as it is called on users' disks
NOT_REACHED = "not reached"
MOST_ATTEMPTS = 5
"""How often a crash point is tried if not all its boundaries were hit: the worker may have been
faster.
"""


class StateError(Exception):
    """An exploration cannot be started or resumed. One sentence: why, and what to do."""


class Attempt(BaseModel):
    """One hit at one crash point, and its workflow's outcome.

    `crash_point` is the name of its `PlannedHit`.

    `is_carried_out` is False if the harness could not do it. `is_reached` tells whether any call
    came there before the workflow ended, `proven` which boundaries were provably hit.
    `recovery_seconds` is from the hit until a worker got work again; None if nothing was left to
    do.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    crash_point: str
    workflow_id: str
    began_at: AwareDatetime
    ended_at: AwareDatetime
    verdict: Verdict
    reason: str
    is_carried_out: bool = True
    is_reached: bool = False
    proven: tuple[str, ...] = ()
    pid: int | None = None
    status: Status = Status.LOST
    billed_usd: Decimal = Decimal(0)
    ideal_usd: Decimal = Decimal(0)
    in_doubt: int = 0
    recovery_seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """All attempts of a crash point, oldest first."""

    planned: PlannedHit
    attempts: Sequence[Attempt]

    @property
    def proven(self) -> Sequence[str]:
        """The boundaries that were hit in any of them."""
        hit = {name for each in self.attempts for name in each.proven}
        return [name for name in map(str, self.planned.point.boundaries) if name in hit]

    @property
    def missing(self) -> Sequence[str]:
        """The boundaries that were hit in none of them."""
        proven = self.proven
        return [name for name in map(str, self.planned.point.boundaries) if name not in proven]

    @property
    def bad(self) -> Attempt | None:
        """The last attempt that did not pass."""
        return next((a for a in reversed(self.attempts) if a.verdict is not Verdict.PASSED), None)

    @property
    def is_reached(self) -> bool:
        """Whether any attempt has reached it; the order may differ between runs."""
        return any(each.is_reached for each in self.attempts)

    @property
    def verdict(self) -> Verdict:
        """A failure is certain; a pass takes all boundaries, hit in attempts that passed."""
        if any(each.verdict is Verdict.FAILED for each in self.attempts):
            return Verdict.FAILED
        passed = (each.proven for each in self.attempts if each.verdict is Verdict.PASSED)
        shown = {name for proven in passed for name in proven}
        all_passed = shown >= {str(each) for each in self.planned.point.boundaries}
        return Verdict.PASSED if all_passed else Verdict.UNKNOWN

    @property
    def is_done(self) -> bool:
        """Whether another attempt would show nothing new, or there were enough."""
        return self.verdict is not Verdict.UNKNOWN or len(self.attempts) >= MOST_ATTEMPTS

    @property
    def last(self) -> Attempt | None:
        """The attempt that counts: the last one that hit, or the last one."""
        hit = [each for each in self.attempts if each.proven]
        attempts = hit or self.attempts
        return attempts[-1] if attempts else None


@dataclass
class State:
    """One exploration. It belongs to one process at a time, which a lock enforces."""

    folder: Path
    plan: Plan | None
    attempts: list[Attempt]
    _file: IO[bytes] = field(repr=False)

    @classmethod
    def begin(cls, reports: Path) -> Self:
        """A new one, named by the time. Raises NoFolderError."""
        folder = new_folder(reports, PREFIX)
        (folder / ATTEMPTS).mkdir()
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The one in a folder. Raises StateError."""
        try:
            file = append_to(folder / RESULTS)
        except OSError as error:
            raise StateError(
                f"{folder} is not the folder of an exploration ({error.strerror})."
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            plan = read_if_there(folder / PLAN)
            found = None if plan is None else Plan.model_validate_json(plan)
            return cls(folder, found, _read(file), file)
        except BlockingIOError:
            file.close()
            raise StateError(f"{folder} is being explored by another process.") from None
        except OSError as error:
            file.close()
            raise StateError(
                f"{error.filename} cannot be read ({error.strerror}); start over with --fresh."
            ) from None
        except ValidationError:
            file.close()
            raise StateError(
                f"{folder} is damaged, or of another version; start over with --fresh."
            ) from None

    @classmethod
    def newest_unfinished(cls, reports: Path, choice: Choice) -> Self | None:
        """The newest unfinished one of this choice that no process has open, if any."""
        for folder in sorted(reports.glob(f"{PREFIX}*"), reverse=True):
            if (folder / PLAN).exists():
                with suppress(StateError):
                    state = cls.open(folder)
                    if state.plan and state.plan.choice == choice and not state.is_finished:
                        return state
                    state.close()
        return None

    def save_plan(self, plan: Plan) -> None:
        """Write the plan, whole or not at all."""
        write_file(self.folder / PLAN, plan.model_dump_json(indent=1))
        self.plan = plan

    def add(self, found: Attempt) -> Outcome:
        """Put an attempt on record, durably; what is known of its crash point now."""
        self._file.write(f"{found.model_dump_json()}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.attempts.append(found)
        return next(o for o in self.outcomes() if o.planned.name == found.crash_point)

    def outcomes(self) -> Sequence[Outcome]:
        """What is known of each chosen crash point."""
        if self.plan is None:
            return []
        return [
            Outcome(point, [each for each in self.attempts if each.crash_point == point.name])
            for point in self.plan.hits
        ]

    @property
    def is_finished(self) -> bool:
        """Whether no crash point is left to try."""
        return self.plan is not None and all(outcome.is_done for outcome in self.outcomes())

    def new_id(self, planned: PlannedHit) -> str:
        """A new id for an attempt; creates its folder."""
        for number in range(1, 1_000):
            with suppress(FileExistsError):
                workflow_id = f"{planned.name}-try-{number}"
                (self.folder / ATTEMPTS / workflow_id).mkdir()
                return workflow_id
        raise StateError(f"{planned.name} was begun a thousand times; start over with --fresh.")

    def close(self) -> None:
        """Release the lock."""
        self._file.close()


def _read(file: IO[bytes]) -> list[Attempt]:
    """The attempts on record. A last line that was cut off is removed: nothing followed from it."""
    file.seek(0)
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    file.truncate(len(whole))
    return [Attempt.model_validate_json(line) for line in whole.splitlines()]
